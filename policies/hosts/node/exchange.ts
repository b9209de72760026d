import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { takesGzip } from '../../llm-cache/compressed-hits.ts';
import type { ByteAccount } from '../../shared/bytes/budget.ts';
import type { BodyReason, Exchange, LlmRequest } from '../../shared/exchange.ts';
import type { Identity } from '../../shared/identity/identity.ts';
import type { Protocol } from '../../shared/protocols/protocol.ts';
import { type Later, RequestBody } from '../../shared/request-body.ts';
import type { AppRequest } from './app-request.ts';
import { type Bounds, type HeldBody, nodeReading } from './body.ts';
import { certificateLine } from './client-certificate.ts';
import {
  type CallListener,
  type ExchangeServices,
  type HostRequest,
  RequestState,
} from './request-state.ts';
import type { RecentRequest } from './recent-request.ts';
import { pathOf, protocolOf, queryOf } from './request-target.ts';
import { guardOf } from './response-guard.ts';
import type { UpstreamCall } from './upstream-call.ts';

/**
 * One request and its answer as the policies of one host see them. A subclass adds what its host knows
 * beyond HTTP, and how its host forwards the body. The state is shared: each policy sees what the
 * others did.
 */
export abstract class NodeExchange implements Exchange, LlmRequest, HostRequest {
  readonly path: string;
  readonly query: string;
  readonly #state: RequestState;
  /** Behind Express, reading a property of the request costs as much as a lookup of all headers. */
  #headers: IncomingHttpHeaders | null = null;

  constructor(state: RequestState) {
    const { originalUrl } = state.req;
    this.#state = state;
    this.path = pathOf(originalUrl);
    this.query = queryOf(originalUrl);
  }

  abstract get apiEndpoint(): string | null;
  abstract get identity(): Identity;
  abstract get requestId(): string | null;
  abstract get forwardedUrl(): string;
  abstract get offered(): unknown;
  abstract read(bounds: Bounds): Later<HeldBody | BodyReason>;
  abstract offer(body: RequestBody, called: CallListener | null): void;
  /** Offers the next reader another body in place of the one that was read. */
  abstract replace(body: RequestBody): void;
  /** Whether an answer without an upstream's message says that the upstream is unreachable. */
  abstract isFailure(status: number, text: unknown): boolean;

  get request(): LlmRequest {
    return this;
  }

  get protocol(): Protocol {
    return this.#state.protocol;
  }

  get status(): number {
    return this.#state.status;
  }

  get providerStatus(): number | null {
    return this.#state.providerStatus;
  }

  get cacheType(): Exchange['cacheType'] {
    return this.#state.cacheType;
  }

  set cacheType(type: Exchange['cacheType']) {
    this.#state.cacheType = type;
  }

  get cacheKey(): Exchange['cacheKey'] {
    return this.#state.cacheKey;
  }

  set cacheKey(key: Exchange['cacheKey']) {
    this.#state.cacheKey = key;
  }

  get answer(): Exchange['answer'] {
    return this.#state.answer;
  }

  set answer(answer: Exchange['answer']) {
    this.#state.answer = answer;
  }

  get saved(): Exchange['saved'] {
    return this.#state.saved;
  }

  set saved(saved: Exchange['saved']) {
    this.#state.saved = saved;
  }

  /** The dashboard's note of the request; null if none is kept. */
  get note(): RecentRequest | null {
    return this.#state.note;
  }

  set note(note: RecentRequest | null) {
    this.#state.note = note;
  }

  get account(): ByteAccount {
    return this.#state.accountOf(this);
  }

  get left(): AbortSignal {
    return this.#state.left;
  }

  /** Whether the client has left. */
  get isGone(): boolean {
    return this.#state.isGone;
  }

  whenOver(then: () => void): void {
    this.#state.end.when(then);
  }

  header(name: string): string | undefined {
    const value = this.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  get headers(): IncomingHttpHeaders {
    return (this.#headers ??= this.#state.req.headers);
  }

  get ownHeaders(): readonly string[] {
    const { rawHeaders, socket } = this.#state.req;
    const certificate = certificateLine(socket);
    return certificate.length === 0 ? rawHeaders : [...rawHeaders, ...certificate];
  }

  get takesGzip(): boolean {
    return takesGzip(this) && !this.#state.isAnswerRead;
  }

  body(maxBytes: number): RequestBody | BodyReason | Promise<RequestBody | BodyReason> {
    return this.#state.body(maxBytes, this);
  }

  /** Sends the upstream `bytes`, which are JSON, in place of the client's body. */
  replaceBody(bytes: Uint8Array): void {
    const { headers } = this.#state.req;
    headers['content-length'] = String(bytes.length);
    delete headers['transfer-encoding'];
    delete headers['content-encoding'];
    // The answer is decoded here, and every runtime can decode gzip.
    headers['accept-encoding'] = 'gzip';
    this.replace(new RequestBody([bytes], nodeReading));
  }

  /** The call to the upstream, which is made if the request is passed on. */
  get call(): UpstreamCall {
    return this.#state.call;
  }

  /** True for the first step of `policy` that takes the request; a later one lets it pass. */
  claim(policy: string): boolean {
    // A policy in between may have given the request other headers.
    this.#headers = null;
    return this.#state.claim(policy);
  }

  /** Runs `step` before the request is passed on to another policy; at once if it has been. */
  beforeOthers(step: () => void): void {
    this.#state.beforeOthers(step);
  }

  /** Passes the request on to another policy. */
  passOn(isProxyNext: boolean): void {
    this.#state.passOn(isProxyNext);
  }

  /** The next policy's handler has returned. */
  nextReturned(): void {
    this.#state.nextReturned();
  }
}

/** Creates the exchange of a request for one host. */
export type ExchangeMaker<R extends AppRequest> = (
  state: RequestState,
  req: R,
  res: ServerResponse,
) => NodeExchange;

interface KnownRequest {
  readonly state: RequestState;
  /** Made for the policy that asked last. The next policy is likely to have the same host. */
  exchange: NodeExchange;
  maker: unknown;
}

/**
 * The entry of a request is dropped when its response is over: Node keeps the last request of each
 * connection, and would keep the exchange with it.
 */
const known = new WeakMap<AppRequest, KnownRequest | 'over'>();

/**
 * Returns the exchange of a request that the cache serves. Returns null for any other request, whose
 * response is guarded all the same, and `over` if the response is complete or the client has left.
 */
export function exchangeOf<R extends AppRequest>(
  req: R,
  res: ServerResponse,
  services: ExchangeServices,
  maker: ExchangeMaker<R>,
): NodeExchange | null | 'over' {
  const entry = known.get(req);
  if (entry === 'over') return entry;
  if (entry === undefined) {
    const protocol = protocolOf(req);
    if (protocol === null) {
      guardOf(req, res, services.faults);
      return null;
    }
    const state = new RequestState(req, res, protocol, services);
    const exchange = maker(state, req, res);
    known.set(req, { state, exchange, maker });
    state.end.when(() => known.set(req, 'over'));
    return exchange;
  }
  if (entry.maker !== maker) {
    entry.exchange = maker(entry.state, req, res);
    entry.maker = maker;
  }
  return entry.exchange;
}
