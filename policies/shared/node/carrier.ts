import type { ByteBudget } from '../budget.ts';
import type { BodyReason } from '../exchange.ts';
import { gatewayIdentity, type Identity } from '../identity.ts';
import type { RequestBody } from '../request-body.ts';
import { type HeldBody, offerBody, readBody } from './body.ts';
import type { GatewayRequest } from './gateway.ts';

/** What a request is known by beside HTTP, and how its body goes on: in the gateway, or in an app. */
export interface Carrier {
  readonly apiEndpoint: string | null;
  /** Who asks, as the host has authenticated it. Throws where that could not be told. */
  readonly identity: Identity;
  readonly requestId: string | null;
  /** The path and query that will be forwarded. */
  readonly forwardedUrl: string;
  /** Another value than the last time when somebody has put another body there since. */
  readonly offered: unknown;
  /** The body that will be forwarded. */
  read(maxBytes: number, budget: ByteBudget): Promise<HeldBody | BodyReason>;
  /** Gives a body that was read to whoever comes next, as though nobody had read it. */
  offer(body: RequestBody): void;
  /** Whether an answer that comes from no upstream tells that the upstream cannot be reached. */
  isFailure(status: number, text: unknown): boolean;
}

/** A request as Express Gateway carries it. */
export function gatewayCarrier(req: GatewayRequest): Carrier {
  return new GatewayCarrier(req);
}

class GatewayCarrier implements Carrier {
  readonly #req: GatewayRequest;

  constructor(req: GatewayRequest) {
    this.#req = req;
  }

  get apiEndpoint(): string | null {
    return this.#req.egContext.apiEndpoint?.apiEndpointName ?? null;
  }

  get identity(): Identity {
    return gatewayIdentity(this.#req.egContext.consumer);
  }

  get requestId(): string | null {
    return this.#req.egContext.requestID ?? null;
  }

  get forwardedUrl(): string {
    return this.#req.url ?? '';
  }

  get offered(): unknown {
    return this.#req.egContext.requestStream;
  }

  read(maxBytes: number, budget: ByteBudget): Promise<HeldBody | BodyReason> {
    return readBody(this.#req, maxBytes, budget);
  }

  offer(body: RequestBody): void {
    offerBody(this.#req, body);
  }

  /** What the proxy policy says; another policy's failure is not the upstream's. */
  isFailure(status: number, text: unknown): boolean {
    return status === 502 && String(text) === 'Bad gateway.';
  }
}
