import type { ByteBudget } from '../budget.ts';
import type { BodyReason } from '../exchange.ts';
import { type HeldBody, readBody } from './body.ts';
import type { GatewayRequest } from './gateway.ts';

/** What a request is known by beside HTTP, and how its body goes on: in the gateway, or in an app. */
export interface Carrier {
  readonly apiEndpoint: string | null;
  /** Whoever was authenticated; undefined without one. */
  readonly consumer: unknown;
  readonly requestId: string | null;
  /** The path and query that will be forwarded. */
  readonly forwardedUrl: string;
  /** Another value than the last time when somebody has put another body there since. */
  readonly offered: unknown;
  /** The body that will be forwarded, read once and offered again. */
  read(maxBytes: number, budget: ByteBudget): Promise<HeldBody | BodyReason>;
  /** Whether an answer that comes from no upstream tells that the upstream cannot be reached. */
  isFailure(status: number, text: unknown): boolean;
}

/** A request as Express Gateway carries it. */
export function gatewayCarrier(req: GatewayRequest): Carrier {
  const { egContext } = req;
  return {
    get apiEndpoint() {
      return egContext.apiEndpoint?.apiEndpointName ?? null;
    },
    get consumer() {
      return egContext.consumer;
    },
    get requestId() {
      return egContext.requestID ?? null;
    },
    get forwardedUrl() {
      return req.url ?? '';
    },
    get offered() {
      return egContext.requestStream;
    },
    read: (maxBytes, budget) => readBody(req, maxBytes, budget),
    // What the proxy policy says; another policy's failure is not the upstream's.
    isFailure: (status, text) => status === 502 && String(text) === 'Bad gateway.',
  };
}
