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

/** What the policy needs of the plugin, as it stands when a pipeline is built. */
export interface LlmUsageServices {
  /** Hands a record to every sink. Never throws. */
  record(record: UsageRecord): void;
  /** The pipeline that serves an apiEndpoint. */
  pipelineOf(apiEndpoint: string | null): string;
  /** The policy that whatever goes on from this one comes to next; null where that depends. */
  nextPolicy(policy: 'llm-usage', apiEndpoint: string | null): string | null;
  readonly prices: PriceList;
  readonly requests: RecentRequests;
  readonly digest: Digest;
  readonly budget: ByteBudget;
  /** Where there is room for an answer that must be read when its client's account has none. */
  readonly reserve: ByteAccount;
  readonly faults: FaultLog;
  /** Runs a step when the answers of this turn of the event loop are out. */
  defer(step: () => void): void;
  /** Is told of a record that waits for the end of its answer. */
  pending(record: Promise<void>): void;
}

/** The books as a step of a pipeline. */
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
    // A step of the cache before it keeps the note.
    const isFirst = exchange.note === null;
    const note = requests.begin(exchange, services.pipelineOf(exchange.apiEndpoint), 'pass');
    exchange.beforeOthers(() => observe(exchange, res, settings, services));

    let facts: BodyFacts | null = null;
    exchange.whenOver(() =>
      recorder.record(exchange, arrival, facts, (record) => {
        if (note === null) return;
        if (record !== null) note.take(record);
        if (isFirst) requests.keep(note);
      }),
    );
    const goOn = (read: BodyFacts | null | 'gone') => {
      // The client has left meanwhile, or another handler has answered.
      if (read === 'gone' || res.headersSent) return;
      facts = read;
      // Most requests that come to the cache go no further.
      const following = services.nextPolicy('llm-usage', exchange.apiEndpoint);
      if (following !== 'llm-cache') exchange.passOn(following === 'proxy');
      next();
      exchange.passedOn();
    };
    const broken = (error: unknown) => {
      services.faults.report('llm-usage: a request could not go on', error);
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

/** Reads the answer, where the cache does not. */
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

/** What is known of the request's body; null where it could not be held. */
function factsOf({ request }: NodeExchange, maxBytes: number): Later<BodyFacts | null | 'gone'> {
  return whenKnown(request.body(maxBytes), (body) => {
    if (!(body instanceof RequestBody)) return body === 'gone' ? body : null;
    // Now, as long as its bytes are accounted for.
    return body.facts(request);
  });
}

/** Reads an answer for the books, unless by the time of its head the cache reads it or has answered. */
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
