import type { ServerResponse } from 'node:http';
import type { LlmUsageSettings } from '../../../schemas/llm-usage.ts';
import { AnswerWatch } from '../../shared/answer-watch.ts';
import type { ByteAccount, ByteBudget } from '../../shared/bytes/budget.ts';
import type { Digest, ResponseObserver } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { AppRequest, HostRequest, Middleware } from './host-request.ts';
import { type NodeExchange, exchangeOf } from './exchange.ts';
import { breakOff } from './response-end.ts';
import { tap } from './tap.ts';
import type { RefusalReason } from '../../shared/reasons.ts';
import { type BodyFacts, type Later, RequestBody, whenKnown } from '../../shared/request-body.ts';
import type { PriceList } from '../../llm-usage/price-list.ts';
import { Recorder } from '../../llm-usage/recorder.ts';
import type { UsageRecord } from '../../llm-usage/usage-record.ts';

/** What the policy needs of the plugin, as it stands when a pipeline is built. */
export interface LlmUsageServices {
  /** Hands a record to every sink. Never throws. */
  record(record: UsageRecord): void;
  /** Whether whatever comes to this policy comes to `llm-cache` next. */
  isCacheNext(apiEndpoint: string | null): boolean;
  readonly prices: PriceList;
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

/** The books as a step of whatever carries requests. */
export function usageMiddleware<R extends AppRequest>(
  settings: LlmUsageSettings,
  services: LlmUsageServices,
  hostRequestOf: (req: R, res: ServerResponse) => HostRequest,
): Middleware<R> {
  const recorder = new Recorder({ ...services, provider: settings.provider ?? null });

  return (req, res, next) => {
    const exchange = exchangeOf(req, res, services, hostRequestOf);
    if (exchange === null || !exchange.claim('llm-usage')) return next();
    const arrival = recorder.arrive();
    exchange.beforeOthers(() => observe(exchange, res, settings, services));

    let facts: BodyFacts | null = null;
    exchange.whenOver(() => recorder.record(exchange, arrival, facts));
    const goOn = (read: BodyFacts | null | 'gone') => {
      // The client has left meanwhile, or another handler has answered.
      if (read === 'gone' || res.headersSent) return;
      facts = read;
      // Most requests that come to the cache go no further.
      if (!services.isCacheNext(exchange.request.apiEndpoint)) exchange.passOn();
      next();
    };
    const broken = (error: unknown) => {
      services.faults.report('llm-usage: a request could not go on', error);
      breakOff(res);
    };
    const read = factsOf(exchange, settings.maxRequestBytes);
    if (!(read instanceof Promise)) return goOn(read);
    read
      .catch((error: unknown) => {
        services.faults.report('llm-usage: a request could not be read', error);
        return null;
      })
      .then(goOn)
      .catch(broken);
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
  const { protocol, account: budget } = exchange.request;
  const watch = new AnswerWatch(protocol, { keep: false, maxBytes, budget, reserve });
  const observer = new UnreadAnswer(exchange, watch);
  tap({ res, call: exchange.call, observer, faults });
}

/** What is known of the request's body; null where it could not be held. */
function factsOf({ request }: NodeExchange, maxBytes: number): Later<BodyFacts | null | 'gone'> {
  return whenKnown(request.body(maxBytes), (body) => {
    if (!(body instanceof RequestBody)) return body === 'gone' ? body : null;
    // Now, as long as its bytes are accounted for.
    return body.facts(request.protocol);
  });
}

/** Reads the answer of an exchange, unless the cache reads it or has answered itself by the time of its head. */
class UnreadAnswer implements ResponseObserver {
  readonly #exchange: NodeExchange;
  readonly #watch: AnswerWatch;

  constructor(exchange: NodeExchange, watch: AnswerWatch) {
    this.#exchange = exchange;
    this.#watch = watch;
  }

  get isDone(): boolean {
    return this.#watch.isDone;
  }

  head(status: number, header: (name: string) => string | undefined): void {
    if (this.#exchange.answer !== null || this.#exchange.served !== null) return;
    this.#exchange.answer = this.#watch.answer;
    this.#watch.head(status, header);
  }

  /** The watch ignores what comes without a head. */
  chunk(bytes: Uint8Array): void {
    this.#watch.chunk(bytes);
  }

  end(): void {
    this.#watch.end();
  }

  abort(reason: RefusalReason): void {
    this.#watch.abort(reason);
  }
}
