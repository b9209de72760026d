import { context, metrics, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { expect } from 'chai';
import { withLlmCache } from '../../policies/hosts/fetch/index.ts';
import { answers } from '../support/answers.ts';

const secretPrompt = 'the-secret-prompt';

function ask(extra: object = {}): Request {
  return new Request('http://app.test/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-secret' },
    body: JSON.stringify({
      model: 'gpt-4o',
      messages: [{ role: 'user', content: secretPrompt }],
      ...extra,
    }),
  });
}

describe('Telemetry with the OpenTelemetry SDK of the host', () => {
  const spans = new InMemorySpanExporter();
  const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({
    exporter: measured,
    exportIntervalMillis: 2 ** 30,
  });
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  let status: number;
  let handler: (request: Request) => Promise<Response>;
  let recorded: Promise<unknown>[];

  before(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    trace.setGlobalTracerProvider(provider);
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  });
  after(async () => {
    trace.disable();
    metrics.disable();
    context.disable();
    await reader.shutdown();
  });
  beforeEach(() => {
    spans.reset();
    recorded = [];
    status = 200;
    handler = withLlmCache(
      () =>
        new Response(status === 200 ? answers.chat.json : '{"error":{"message":"no"}}', {
          status,
          headers: { 'content-type': 'application/json' },
        }),
      { record: () => {}, waitUntil: (promise) => void recorded.push(promise) },
    );
  });

  async function spanOf(request: Request): Promise<ReadableSpan> {
    spans.reset();
    await (await handler(request)).text();
    await Promise.all(recorded);
    const [span, ...more] = spans.getFinishedSpans();
    expect(more).to.deep.equal([]);
    if (span === undefined) throw new Error('no span was made');
    return span;
  }

  it('A request makes one client span under the GenAI conventions', async () => {
    const span = await spanOf(ask());
    expect([span.name, span.kind]).to.deep.equal(['chat gpt-4o', SpanKind.CLIENT]);
    const usage = (JSON.parse(answers.chat.json) as { usage: Record<string, number> }).usage;
    expect(span.attributes).to.include({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-4o',
      'gen_ai.usage.input_tokens': usage['prompt_tokens'],
      'gen_ai.usage.output_tokens': usage['completion_tokens'],
      'http.response.status_code': 200,
      'llm_cache.type': 'none',
      'llm_cache.billed': true,
    });
  });

  it('A hit says in its span that it is one, and that nothing was billed', async () => {
    await spanOf(ask());
    const span = await spanOf(ask());
    expect(span.attributes).to.include({ 'llm_cache.type': 'exact', 'llm_cache.billed': false });
  });

  it('A failure of the provider is an error of its span', async () => {
    status = 429;
    const span = await spanOf(ask());
    expect(span.status.code).to.equal(SpanStatusCode.ERROR);
    expect(span.attributes['error.type']).to.equal('429');
  });

  it('A span is a child of the span in which its request arrived', async () => {
    const tracer = trace.getTracer('host');
    const host = tracer.startSpan('POST /v1/chat/completions');
    const span = await context.with(trace.setSpan(context.active(), host), () => spanOf(ask()));
    expect(span.parentSpanContext?.spanId).to.equal(host.spanContext().spanId);
  });

  it('Spans and metrics carry no prompt, answer or credential', async () => {
    const span = await spanOf(ask());
    await reader.forceFlush();
    const all = JSON.stringify([
      span.name,
      span.attributes,
      span.events,
      measured.getMetrics().map(({ scopeMetrics }) => scopeMetrics),
    ]);
    const content = JSON.parse(answers.chat.json) as {
      choices: { message: { content: string } }[];
    };
    for (const secret of [secretPrompt, 'sk-secret', content.choices[0]?.message.content ?? '?']) {
      expect(all).to.not.include(secret);
    }
  });

  it('The metrics have durations of all requests, but tokens of billed ones alone', async () => {
    measured.reset();
    await spanOf(ask({ seed: 1 }));
    await spanOf(ask({ seed: 1 }));
    await reader.forceFlush();
    const found = measured.getMetrics().at(-1)?.scopeMetrics[0]?.metrics ?? [];
    const countOf = (name: string, type: string) =>
      found
        .find(({ descriptor }) => descriptor.name === name)
        ?.dataPoints.filter(({ attributes }) => attributes['llm_cache.type'] === type)
        .reduce((sum, { value }) => sum + (value as { count: number }).count, 0);
    expect(countOf('gen_ai.client.operation.duration', 'exact')).to.be.greaterThan(0);
    expect(countOf('gen_ai.client.token.usage', 'none')).to.be.greaterThan(0);
    expect(countOf('gen_ai.client.token.usage', 'exact')).to.equal(0);
  });

  it('A model name that no provider answered opens no series in the metrics', async () => {
    measured.reset();
    status = 404;
    await spanOf(ask({ model: 'made-up-by-a-client' }));
    await reader.forceFlush();
    expect(JSON.stringify(measured.getMetrics())).to.not.include('made-up-by-a-client');
  });
});
