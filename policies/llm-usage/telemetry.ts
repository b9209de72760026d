import {
  type Attributes,
  type Context,
  context,
  createNoopMeter,
  type Histogram,
  metrics,
  ProxyTracerProvider,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { ProtocolName } from '../shared/protocols/protocol.ts';
import type { UsageRecord } from './usage-record.ts';

// Names of the OpenTelemetry GenAI semantic conventions:
// https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
// https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/

const scope = 'express-gateway-plugin-llm-cache';

const operations: Readonly<Record<ProtocolName, string>> = {
  chat: 'chat',
  completions: 'text_completion',
  responses: 'chat',
  embeddings: 'embeddings',
  messages: 'chat',
  gemini: 'generate_content',
  'gemini-embeddings': 'embeddings',
  rerank: 'rerank',
  moderations: 'moderation',
};

/** The bucket boundaries that the conventions recommend. */
const tokenBuckets = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304];
const secondBuckets = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/**
 * Reports one span and its metrics per request to the host's OpenTelemetry SDK, or does nothing
 * without one. No attribute contains a prompt, an answer or a credential.
 */
export class Telemetry {
  readonly #tracer: Tracer = trace.getTracer(scope);
  #tokens: Histogram | null = null;
  #seconds: Histogram | null = null;

  /**
   * Returns the active context at the arrival of a request; its span is the parent of the
   * request's.
   */
  parent(): Context {
    return context.active();
  }

  /** Reports a finished request. `startedAt` and `endedAt` are milliseconds since the epoch. */
  report(
    record: UsageRecord,
    protocol: ProtocolName,
    request: { readonly parent: Context; readonly startedAt: number; readonly endedAt: number },
  ): void {
    if (!hasSdk()) return;
    const { parent, startedAt, endedAt } = request;
    const attributes = identityOf(record, protocol);
    const models = modelsOf(record);
    const error = errorOf(record);
    if (error !== null) attributes['error.type'] = error;
    const name = `${operations[protocol]} ${record.requested_model ?? ''}`.trimEnd();
    const options = {
      kind: SpanKind.CLIENT,
      startTime: startedAt,
      attributes: { ...attributes, ...models },
    };
    const span = this.#tracer.startSpan(name, options, parent);
    if (span.isRecording()) {
      span.setAttributes(detailsOf(record));
      if (error !== null) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(endedAt);
    }
    // Clients can invent model names without limit, so only a model that answered gets its own series.
    const measured = isAnswered(record) ? { ...attributes, ...models } : attributes;
    this.#measure(record, measured, Math.max(0, endedAt - startedAt) / 1000);
  }

  #measure(record: UsageRecord, attributes: Attributes, seconds: number): void {
    this.#seconds ??= histogram('gen_ai.client.operation.duration', 's', secondBuckets);
    this.#seconds.record(seconds, attributes);
    // An answer from the cache used none of the provider's tokens.
    if (!record.billed) return;
    this.#tokens ??= histogram('gen_ai.client.token.usage', '{token}', tokenBuckets);
    for (const [type, count] of [
      ['input', record.input_tokens],
      ['output', record.output_tokens],
    ] as const) {
      if (count !== null) this.#tokens.record(count, { ...attributes, 'gen_ai.token.type': type });
    }
  }
}

const noTracing = new ProxyTracerProvider().getDelegate();
const noMetrics = createNoopMeter();

/** Whether an SDK takes spans or metrics now; the host may set one up at any time. */
function hasSdk(): boolean {
  const provider = trace.getTracerProvider();
  const tracing =
    'getDelegate' in provider ? (provider as ProxyTracerProvider).getDelegate() : null;
  return tracing !== noTracing || metrics.getMeter(scope) !== noMetrics;
}

/**
 * Creates a histogram. Call it at the first record: the host may set up its SDK after the policies
 * are built.
 */
function histogram(name: string, unit: string, buckets: number[]): Histogram {
  return metrics.getMeter(scope).createHistogram(name, {
    unit,
    advice: { explicitBucketBoundaries: buckets },
  });
}

/** Returns the attributes shared by the span and the metrics. */
function identityOf(record: UsageRecord, protocol: ProtocolName): Attributes {
  return defined({
    'gen_ai.operation.name': operations[protocol],
    'gen_ai.provider.name': record.provider,
    'llm_cache.type': record.cache_type ?? 'none',
  });
}

function modelsOf({ requested_model: requested, model }: UsageRecord): Attributes {
  return defined({ 'gen_ai.request.model': requested, 'gen_ai.response.model': model });
}

function isAnswered({ billed, cache_type: cacheType }: UsageRecord): boolean {
  return billed || cacheType !== null;
}

function detailsOf(record: UsageRecord): Attributes {
  const { raw_data: raw } = record;
  return defined({
    'gen_ai.response.id': record.provider_id,
    'gen_ai.usage.input_tokens': record.input_tokens,
    'gen_ai.usage.output_tokens': record.output_tokens,
    'gen_ai.usage.cache_read.input_tokens': raw['cached_tokens'],
    'gen_ai.usage.cache_creation.input_tokens': raw['cache_write_tokens'],
    'gen_ai.request.stream': record.stream,
    'http.response.status_code': record.status,
    'llm_cache.billed': record.billed,
    'llm_cache.cost_usd': record.total_cost,
    'llm_cache.request_id': record.request_id,
    'llm_cache.api_endpoint': record.api_endpoint,
    'llm_cache.consumer_id': record.consumer_id,
  });
}

/** Returns the status if it is an error, else null. */
function errorOf({ status }: UsageRecord): string | null {
  return status >= 400 ? String(status) : null;
}

function defined(values: Readonly<Record<string, string | number | boolean | null | undefined>>) {
  const attributes: Attributes = {};
  for (const name in values) {
    const value = values[name];
    if (value !== null && value !== undefined) attributes[name] = value;
  }
  return attributes;
}
