import type { BodyReason } from '../../shared/exchange.ts';
import { gatewayIdentity, type Identity } from '../../shared/identity/identity.ts';
import type { Later, RequestBody } from '../../shared/request-body.ts';
import type { Bounds, HeldBody } from '../node/body.ts';
import { NodeExchange } from '../node/exchange.ts';
import type { CallListener, RequestState } from '../node/request-state.ts';
import { offerBody, readBody, sendBody } from './body.ts';
import type { GatewayRequest } from './types.ts';

/** Creates the exchange of a request in Express Gateway. */
export function gatewayExchange(state: RequestState, req: GatewayRequest): NodeExchange {
  return new GatewayExchange(state, req);
}

class GatewayExchange extends NodeExchange {
  readonly #req: GatewayRequest;

  constructor(state: RequestState, req: GatewayRequest) {
    super(state);
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

  read(bounds: Bounds): Later<HeldBody | BodyReason> {
    return readBody(this.#req, bounds);
  }

  offer(body: RequestBody, called: CallListener | null): void {
    if (called === null) offerBody(this.#req, body);
    else sendBody(this.#req, body, called);
  }

  replace(body: RequestBody): void {
    offerBody(this.#req, body);
  }

  /** Recognizes the proxy policy's own error. A failure of another policy is not the upstream's. */
  isFailure(status: number, text: unknown): boolean {
    return status === 502 && String(text) === 'Bad gateway.';
  }
}
