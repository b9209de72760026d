import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { llmUsageSchema, type LlmUsageSettings } from '../../schemas/llm-usage.ts';
import { validate } from '../../schemas/validate.ts';
import { AnswerWatch } from '../shared/answer-watch.ts';
import type { ByteBudget } from '../shared/budget.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import { consumerId } from '../shared/identity.ts';
import { type Carrier, gatewayCarrier } from '../shared/node/carrier.ts';
import { type NodeExchange, exchangeOf } from '../shared/node/exchange.ts';
import type { AppRequest, Middleware, Policy } from '../shared/node/gateway.ts';
import { tap } from '../shared/node/tap.ts';
import { RequestBody } from '../shared/request-body.ts';
import type { PriceList } from './price-list.ts';
import { usageRecord } from './record.ts';
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
}

/** Nginx's word for a client that left before there was a head to send. */
const clientClosedRequest = 499;

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
  return (req, res, next) => {
    const exchange = exchangeOf(req, res, services.budget, carrierOf);
    if (exchange === null || !exchange.claim('llm-usage')) return next();
    const startedAt = Date.now();
    exchange.beforeOthers(() => watch(exchange, res, settings, services));

    let body: RequestBody | null = null;
    exchange.whenOver(() => {
      void record(exchange, { res, body, startedAt, settings, services });
    });
    void readRequest(exchange, settings, services).then((read) => {
      // The client has left meanwhile, or somebody else has answered.
      if (read === 'gone' || res.headersSent) return;
      body = read;
      // Most requests that come to the cache go no further.
      if (!services.isCacheNext(exchange.request.apiEndpoint)) exchange.passOn();
      next();
    });
  };
}

/** Reads the answer, where the cache does not. */
function watch(
  exchange: NodeExchange,
  res: ServerResponse,
  { maxResponseBytes: maxBytes }: LlmUsageSettings,
  { budget, faults }: LlmUsageServices,
): void {
  if (exchange.answer !== null) return;
  const observer = new AnswerWatch(exchange, { keep: false, maxBytes, budget });
  tap({ res, lifeline: exchange.lifeline, observer, faults });
}

/** The request's body; null where it could not be held. */
async function readRequest(
  exchange: NodeExchange,
  settings: LlmUsageSettings,
  services: LlmUsageServices,
): Promise<RequestBody | null | 'gone'> {
  try {
    const body = await exchange.request.body(settings.maxRequestBytes);
    return body instanceof RequestBody || body === 'gone' ? body : null;
  } catch (error) {
    services.faults.report('llm-usage: a request could not be read', error);
    return null;
  }
}

interface Parts {
  readonly res: ServerResponse;
  readonly body: RequestBody | null;
  readonly startedAt: number;
  readonly settings: LlmUsageSettings;
  readonly services: LlmUsageServices;
}

async function record(exchange: NodeExchange, parts: Parts): Promise<void> {
  const { res, settings, services } = parts;
  const endedAt = Date.now();
  try {
    // The client may have left an answer that goes on: what it got is known now, the rest later.
    const status = res.headersSent ? res.statusCode : clientClosedRequest;
    const { request, served, carrier } = exchange;
    const facts = await (served?.facts ?? exchange.answer);
    const read = parts.body?.facts(request.protocol);
    services.record(
      usageRecord(
        {
          id: randomUUID(),
          startedAt: parts.startedAt,
          endedAt,
          requestId: carrier.requestId,
          provider: settings.provider ?? request.protocol.provider,
          requestedModel: read?.model ?? null,
          path: request.path,
          apiEndpoint: request.apiEndpoint,
          consumerId: consumerOf(request, services),
          stream: read?.isStream ?? false,
          status,
          cacheType: served?.cacheType ?? null,
          providerStatus: exchange.upstreamStatus,
          facts,
          cacheApart: request.protocol.cacheApart,
        },
        (priced) => services.prices.find(priced),
      ),
    );
  } catch (error) {
    services.faults.report('llm-usage: a request could not be recorded', error);
  }
}

/** Null, too, where the application fails to tell: a record without a consumer is better than none. */
function consumerOf(request: LlmRequest, { digest, faults }: LlmUsageServices): string | null {
  try {
    return consumerId(request.identity, digest);
  } catch (error) {
    faults.report('llm-usage: a consumer could not be told', error);
    return null;
  }
}
