import type { ServerResponse } from 'node:http';
import type { BodyReason } from '../../shared/exchange.ts';
import type { Later, RequestBody } from '../../shared/request-body.ts';
import { applicationIdentity, type Identity } from '../../shared/identity/identity.ts';
import type { AppRequest } from '../node/app-request.ts';
import type { Bounds, HeldBody } from '../node/body.ts';
import { type ExchangeMaker, NodeExchange } from '../node/exchange.ts';
import type { RequestState } from '../node/request-state.ts';
import { replaceBody, rereadBody } from './body.ts';

/** What the application says about its requests. */
export interface ExpressRequestOptions {
  readonly apiEndpoint: string | null;
  /** Returns the consumer that the application authenticated: an id, or an object that has one. */
  readonly consumer: (req: AppRequest) => unknown;
}

/** Creates exchanges for the requests of an Express app. */
export function expressExchange(options: ExpressRequestOptions): ExchangeMaker<AppRequest> {
  return (state, req, res) => new ExpressExchange(state, req, res, options);
}

class ExpressExchange extends NodeExchange {
  readonly #req: AppRequest;
  readonly #res: ServerResponse;
  readonly #options: ExpressRequestOptions;

  constructor(
    state: RequestState,
    req: AppRequest,
    res: ServerResponse,
    options: ExpressRequestOptions,
  ) {
    super(state);
    this.#req = req;
    this.#res = res;
    this.#options = options;
  }

  get apiEndpoint(): string | null {
    return this.#options.apiEndpoint;
  }

  get identity(): Identity {
    return applicationIdentity(this.#options.consumer(this.#req));
  }

  get requestId(): string | null {
    const { id }: { readonly id?: unknown } = this.#req as object;
    return typeof id === 'string' ? id : null;
  }

  /** In a mounted app, `url` lacks the path that the app is mounted at. */
  get forwardedUrl(): string {
    const { baseUrl }: { readonly baseUrl?: unknown } = this.#req as object;
    return `${typeof baseUrl === 'string' ? baseUrl : ''}${this.#req.url ?? ''}`;
  }

  get offered(): unknown {
    return this.#req.body;
  }

  read(bounds: Bounds): Later<HeldBody | BodyReason> {
    return rereadBody(this.#req, this.#res, bounds);
  }

  /** Does nothing: the body was put back when it was read. */
  offer(): void {}

  replace({ chunks }: RequestBody): void {
    replaceBody(this.#req, chunks);
  }

  isFailure(status: number): boolean {
    return status === 500 || (status >= 502 && status <= 504);
  }
}
