import type { ServerResponse } from 'node:http';
import type { LlmUsageSettings } from '../../../schemas/llm-usage.ts';
import { AnswerReader, type AnswerReaderOptions } from '../../shared/answer-reader.ts';
import type { ByteAccount, ByteBudget } from '../../shared/bytes/budget.ts';
import type { Digest } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { AppRequest, Middleware } from './app-request.ts';
import { type ExchangeMaker, exchangeOf, type NodeExchange } from './exchange.ts';
import type { RecentRequests } from './recent-requests.ts';
import { breakOff } from './response-end.ts';
import { tap } from './tap.ts';
import { type BodyFacts, type Later, RequestBody, whenKnown } from '../../shared/request-body.ts';
import type { PriceList } from '../../llm-usage/price-list.ts';
import { Recorder } from '../../llm-usage/recorder.ts';
import type { UsageRecord } from '../../llm-usage/usage-record.ts';

/** The plugin's services that the policy uses, as they are when a pipeline is built. */
export interface LlmUsageServices {
  /** Hands a record to every sink. Never throws. */
  record(record: UsageRecord): void;
  /** The name of the pipeline that serves an apiEndpoint. */
  pipelineOf(apiEndpoint: string | null): string;
  /** The policy to which every request that is passed on goes next; null if it varies. */
  nextPolicy(policy: 'llm-usage', apiEndpoint: string | null): string | null;
  readonly prices: PriceList;
  readonly requests: RecentRequests;
  readonly digest: Digest;
  readonly budget: ByteBudget;
  /** Memory for an answer that must be read although its client's account is exhausted. */
  readonly reserve: ByteAccount;
  readonly faults: FaultLog;
  /** Runs a step after the answers of this turn of the event loop have been written. */
  defer(step: () => void): void;
  /** Registers a record that waits for the end of its answer. */
  pending(record: Promise<void>): void;
}

/** The middleware of `llm-usage`: it records the usage of each request. */
export function usageMiddleware<R extends AppRequest>(
  settings: LlmUsageSettings,
  services: LlmUsageServices,
  maker: ExchangeMaker<R>,
): Middleware<R> {
  const { requests } = services;
  const recorder = new Recorder({ ...services, provider: settings.provider ?? null });

  return (req, res, next) => {
    const exchange = exchangeOf(req, res, services, maker);
    if (exchange === 'over') return;
    if (exchange === null || !exchange.claim('llm-usage')) return next();
    const arrival = recorder.arrive();
    // If llm-cache stands before llm-usage, it has created the note and keeps it.
    const isFirst = exchange.note === null;
    const note = requests.begin(exchange, services.pipelineOf(exchange.apiEndpoint), 'pass');
    exchange.beforeOthers(() => observe(exchange, res, settings, services));

    let facts: BodyFacts | null = null;
    exchange.whenOver(() =>
      recorder.record(exchange, arrival, facts, (record) => {
        if (note === null) return;
        if (record !== null) note.addUsage(record);
        if (isFirst) requests.keep(note);
      }),
    );
    const goOn = (read: BodyFacts | null | 'gone') => {
      // The client left meanwhile, or another handler answered.
      if (read === 'gone' || res.headersSent) return;
      facts = read;
      // If llm-cache is next, it passes the request on itself, but most requests end there.
      const following = services.nextPolicy('llm-usage', exchange.apiEndpoint);
      if (following !== 'llm-cache') exchange.passOn(following === 'proxy');
      next();
      exchange.nextReturned();
    };
    const broken = (error: unknown) => {
      services.faults.report('llm-usage: a request could not be passed on', error);
      breakOff(res);
    };
    const read = factsOf(exchange, settings.maxRequestBytes);
    if (!(read instanceof Promise)) return goOn(read);
    const unread = (error: unknown) => {
      services.faults.report('llm-usage: a request could not be read', error);
      goOn(null);
    };
    read.then(goOn, unread).catch(broken);
  };
}

/** Reads the answer if the cache does not. */
function observe(
  exchange: NodeExchange,
  res: ServerResponse,
  { maxResponseBytes: maxBytes }: LlmUsageSettings,
  { reserve, faults }: LlmUsageServices,
): void {
  if (exchange.answer !== null) return;
  const { account: budget } = exchange;
  const observer = new UnreadAnswer(exchange, { keep: false, maxBytes, budget, reserve });
  tap({ res, call: exchange.call, observer, faults });
}

/** What the records need of the request's body; null if it could not be buffered. */
function factsOf({ request }: NodeExchange, maxBytes: number): Later<BodyFacts | null | 'gone'> {
  return whenKnown(request.body(maxBytes), (body) => {
    if (!(body instanceof RequestBody)) return body === 'gone' ? body : null;
    // Read now, while the account is charged for its bytes.
    return body.facts(request);
  });
}

/** Reads an answer for its record, unless the cache reads it or has answered when its head passes. */
class UnreadAnswer extends AnswerReader {
  readonly #exchange: NodeExchange;

  constructor(exchange: NodeExchange, options: AnswerReaderOptions) {
    super(exchange.protocol, options);
    this.#exchange = exchange;
  }

  override head(status: number, header: (name: string) => string | undefined): void {
    if (this.#exchange.answer !== null) return;
    this.#exchange.answer = this;
    super.head(status, header);
  }
}
