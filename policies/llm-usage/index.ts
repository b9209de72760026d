import type { ServerResponse } from 'node:http';
import { llmUsageSchema, type LlmUsageSettings } from '../../schemas/llm-usage.ts';
import { validate } from '../../schemas/validate.ts';
import { AnswerWatch } from '../shared/answer-watch.ts';
import type { ByteBudget } from '../shared/budget.ts';
import type { BodyReason, Digest, ResponseObserver } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import { type Carrier, gatewayCarrier } from '../shared/node/carrier.ts';
import { type NodeExchange, exchangeOf } from '../shared/node/exchange.ts';
import type { AppRequest, Middleware, Policy } from '../shared/node/gateway.ts';
import { breakOff } from '../shared/node/response-end.ts';
import { tap } from '../shared/node/tap.ts';
import type { RefusalReason } from '../shared/reasons.ts';
import { RequestBody } from '../shared/request-body.ts';
import type { PriceList } from './price-list.ts';
import { Recorder } from './recorder.ts';
import type { UsageRecord } from './usage-record.ts';

/** What the policy needs of the plugin, as it stands when a pipeline is built. */
export interface LlmUsageServices {
  /** Hands a record to every sink. Never throws. */
  record(record: UsageRecord): void;
  /** Whether whatever comes to this policy comes to `llm-cache` next. */
  isCacheNext(apiEndpoint: string | null): boolean;
  readonly prices: PriceList;
  readonly digest: Digest;
  readonly budget: ByteBudget;
  readonly faults: FaultLog;
  /** Runs a step when the answers of this turn of the event loop are out. */
  defer(step: () => void): void;
  /** Is told of a record that waits for the end of its answer. */
  pending(record: Promise<void>): void;
}

/** The `llm-usage` policy: one record a request, whoever answers it. */
export function llmUsagePolicy(current: () => LlmUsageServices): Policy {
  return {
    name: 'llm-usage',
    schema: llmUsageSchema,
    policy: ({ getCommonAuthCallback: _gateways, ...action }) => {
      const settings = validate<LlmUsageSettings>(llmUsageSchema, action, 'llm-usage');
      return usageMiddleware(settings, current(), gatewayCarrier);
    },
  };
}

/** The books as a step of whatever carries requests. */
export function usageMiddleware<R extends AppRequest>(
  settings: LlmUsageSettings,
  services: LlmUsageServices,
  carrierOf: (req: R, res: ServerResponse) => Carrier,
): Middleware<R> {
  const recorder = new Recorder({ ...services, provider: settings.provider ?? null });

  return (req, res, next) => {
    const exchange = exchangeOf(req, res, services, carrierOf);
    if (exchange === null || !exchange.claim('llm-usage')) return next();
    const arrival = recorder.arrive();
    exchange.beforeOthers(() => observe(exchange, res, settings, services));

    let body: RequestBody | null = null;
    exchange.whenOver(() => recorder.record(exchange, arrival, body));
    const goOn = (read: RequestBody | BodyReason) => {
      // The client has left meanwhile, or another handler has answered.
      if (read === 'gone' || res.headersSent) return;
      if (read instanceof RequestBody) body = read;
      // Most requests that come to the cache go no further.
      if (!services.isCacheNext(exchange.request.apiEndpoint)) exchange.passOn();
      next();
    };
    const broken = (error: unknown) => {
      services.faults.report('llm-usage: a request could not go on', error);
      breakOff(res);
    };
    const read = exchange.request.body(settings.maxRequestBytes);
    if (!(read instanceof Promise)) return goOn(read);
    read
      .catch((error: unknown) => {
        services.faults.report('llm-usage: a request could not be read', error);
        return 'not-json' as const;
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
  { budget, faults }: LlmUsageServices,
): void {
  if (exchange.answer !== null) return;
  const watch = new AnswerWatch(exchange.request.protocol, { keep: false, maxBytes, budget });
  const observer = new UnreadAnswer(exchange, watch);
  tap({ res, call: exchange.call, observer, faults });
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
