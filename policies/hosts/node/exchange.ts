import type { ServerResponse } from 'node:http';
import type { Answer } from '../../shared/answer.ts';
import { type ByteBudget, ClientAccount } from '../../shared/bytes/budget.ts';
import { clientOf } from '../../shared/identity/client-of.ts';
import {
  type BodyReason,
  clientClosedRequest,
  type Exchange,
  type LlmRequest,
} from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { Identity } from '../../shared/identity/identity.ts';
import { findProtocol } from '../../shared/protocols/index.ts';
import type { Protocol } from '../../shared/protocols/protocol.ts';
import type { RequestBody } from '../../shared/request-body.ts';
import type { HeldBody } from './body.ts';
import type { HostRequest } from './host-request.ts';
import { certificateLine } from './client-certificate.ts';
import type { AppRequest } from './host-request.ts';
import { isGone, ResponseEnd } from './response-end.ts';
import { guardOf } from './response-guard.ts';
import { UpstreamCall } from './upstream-call.ts';

/** What an exchange needs of the plugin. */
export interface ExchangeServices {
  readonly budget: ByteBudget;
  readonly faults: FaultLog;
}

/** What all policies that see one request share. */
class RequestState {
  readonly req: AppRequest;
  readonly protocol: Protocol;
  readonly end: ResponseEnd;
  readonly claims = new Set<string>();
  /** As the policies of one host see it. */
  exchange: NodeExchange | null = null;
  hostRequestOf: unknown = null;
  served: Exchange['served'] = null;
  answer: Promise<Answer> | null = null;
  readonly #res: ServerResponse;
  readonly #services: ExchangeServices;
  #account: ClientAccount | null = null;
  #left: AbortController | null = null;
  #held: HeldBody | null = null;
  #isOver = false;
  #offered: unknown = null;
  #call: UpstreamCall | null = null;
  #isPassedOn = false;
  readonly #beforeOthers: (() => void)[] = [];

  constructor(
    req: AppRequest,
    res: ServerResponse,
    protocol: Protocol,
    services: ExchangeServices,
  ) {
    this.req = req;
    this.protocol = protocol;
    this.end = new ResponseEnd(req, res);
    this.#res = res;
    this.#services = services;
    this.end.when(() => {
      this.#isOver = true;
      this.#release();
    });
  }

  get isGone(): boolean {
    return isGone(this.req, this.#res);
  }

  get call(): UpstreamCall {
    if (this.#call === null) {
      const guard = guardOf(this.req, this.#res, this.#services.faults);
      this.#call = new UpstreamCall(this.req, this.#res, { end: this.end, guard });
    }
    return this.#call;
  }

  get status(): number {
    return this.#res.headersSent ? this.#res.statusCode : clientClosedRequest;
  }

  get upstreamStatus(): number | null {
    return this.#call?.message?.statusCode ?? null;
  }

  beforeOthers(step: () => void): void {
    if (this.#isPassedOn) step();
    else this.#beforeOthers.push(step);
  }

  passOn(): void {
    this.#isPassedOn = true;
    // Whether or not its answer is read, it must end as the upstream's did.
    void this.call;
    for (const step of this.#beforeOthers.splice(0)) step();
  }

  get left(): AbortSignal {
    if (this.#left === null) {
      const left = new AbortController();
      this.#left = left;
      const leave = () => left.abort();
      if (this.isGone) leave();
      else this.end.when(leave);
    }
    return this.#left.signal;
  }

  /** As the first who asks knows the client. */
  accountOf(request: LlmRequest): ClientAccount {
    return (this.#account ??= new ClientAccount(
      this.#services.budget,
      [this.req.socket, clientOf(request)].filter((client) => client !== null),
    ));
  }

  body(
    maxBytes: number,
    request: LlmRequest,
    host: HostRequest,
  ): RequestBody | BodyReason | Promise<RequestBody | BodyReason> {
    // A policy that has rewritten the body since has put another one there.
    if (this.#held !== null && host.offered === this.#offered) {
      const { body } = this.#held;
      return body.length > maxBytes ? 'request-too-large' : body.within(maxBytes);
    }
    return this.#read(maxBytes, request, host);
  }

  async #read(
    maxBytes: number,
    request: LlmRequest,
    host: HostRequest,
  ): Promise<RequestBody | BodyReason> {
    const account = this.accountOf(request);
    const whenOver = (then: () => void) => this.end.when(then);
    const read = await host.read({ maxBytes, account, whenOver });
    if (typeof read === 'string') return read;
    this.#release();
    this.#held = read;
    this.#offered = host.offered;
    this.beforeOthers(() => {
      host.offer(read.body);
      this.#offered = host.offered;
    });
    // Somebody has answered before all of it had come.
    if (this.#isOver) this.#release();
    return read.body;
  }

  #release(): void {
    this.#held?.release();
    this.#held = null;
  }
}

/** One request and its answer, as one policy sees it; what it does to it the others see as well. */
export class NodeExchange implements Exchange {
  readonly request: LlmRequest;
  readonly host: HostRequest;
  readonly #state: RequestState;

  constructor(state: RequestState, host: HostRequest) {
    this.#state = state;
    this.host = host;
    this.request = new NodeRequest(state, host);
  }

  /** The call that is made for the request when it goes on. */
  get call(): UpstreamCall {
    return this.#state.call;
  }

  get status(): number {
    return this.#state.status;
  }

  /** Of the upstream's message; null where none has been passed on. */
  get providerStatus(): number | null {
    return this.#state.upstreamStatus;
  }

  /** Does `step` before anybody else sees the request; at once, where somebody has. */
  beforeOthers(step: () => void): void {
    this.#state.beforeOthers(step);
  }

  /** The request goes on to somebody else. */
  passOn(): void {
    this.#state.passOn();
  }

  get served(): Exchange['served'] {
    return this.#state.served;
  }

  set served(served: Exchange['served']) {
    this.#state.served = served;
  }

  get answer(): Promise<Answer> | null {
    return this.#state.answer;
  }

  set answer(answer: Promise<Answer> | null) {
    this.#state.answer = answer;
  }

  /** Whether nobody is there any more to answer. */
  get isGone(): boolean {
    return this.#state.isGone;
  }

  /** Calls `then` once, when the response is over or its connection is gone. */
  whenOver(then: () => void): void {
    this.#state.end.when(then);
  }

  /** True for the first step of `policy` that takes the request; a later one lets it pass. */
  claim(policy: string): boolean {
    const { claims } = this.#state;
    if (claims.has(policy)) return false;
    claims.add(policy);
    return true;
  }
}

const states = new WeakMap<AppRequest, RequestState>();

/**
 * The exchange of a request that the cache serves; null for any other, whose response is guarded
 * all the same.
 */
export function exchangeOf<R extends AppRequest>(
  req: R,
  res: ServerResponse,
  services: ExchangeServices,
  hostRequestOf: (req: R, res: ServerResponse) => HostRequest,
): NodeExchange | null {
  let state = states.get(req);
  if (state === undefined) {
    const protocol = protocolOf(req);
    if (protocol === null) {
      guardOf(req, res, services.faults);
      return null;
    }
    state = new RequestState(req, res, protocol, services);
    states.set(req, state);
  }
  if (state.exchange === null || state.hostRequestOf !== hostRequestOf) {
    state.exchange = new NodeExchange(state, hostRequestOf(req, res));
    state.hostRequestOf = hostRequestOf;
  }
  return state.exchange;
}

/** By method and the path that the client sent. */
export function protocolOf(req: Pick<AppRequest, 'method' | 'originalUrl'>): Protocol | null {
  return req.method === 'POST' ? findProtocol(pathOf(req.originalUrl)) : null;
}

/** The path in a request's target, without its query. */
export function pathOf(target: string): string {
  const start = pathStart(target);
  const end = target.indexOf('?', start);
  return (end < 0 ? target.slice(start) : target.slice(start, end)) || '/';
}

/** RFC 9112, section 3.2.2: in absolute form an authority stands before it, maybe with a password. */
function pathStart(target: string): number {
  if (target.startsWith('/')) return 0;
  const authority = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(target);
  return authority?.[0].length ?? 0;
}

/** The query in a request's target, with its question mark; empty without one. */
export function queryOf(target: string): string {
  const start = target.indexOf('?');
  return start < 0 ? '' : target.slice(start);
}

class NodeRequest implements LlmRequest {
  readonly protocol: Protocol;
  readonly path: string;
  readonly query: string;
  readonly #state: RequestState;
  readonly #host: HostRequest;

  constructor(state: RequestState, host: HostRequest) {
    const { originalUrl } = state.req;
    this.#state = state;
    this.#host = host;
    this.protocol = state.protocol;
    this.path = pathOf(originalUrl);
    this.query = queryOf(originalUrl);
  }

  get forwardedUrl(): string {
    return this.#host.forwardedUrl;
  }

  get apiEndpoint(): string | null {
    return this.#host.apiEndpoint;
  }

  get requestId(): string | null {
    return this.#host.requestId;
  }

  get identity(): Identity {
    return this.#host.identity;
  }

  get account(): ClientAccount {
    return this.#state.accountOf(this);
  }

  get left(): AbortSignal {
    return this.#state.left;
  }

  whenOver(then: () => void): void {
    this.#state.end.when(then);
  }

  header(name: string): string | undefined {
    const value = this.#state.req.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  get headers(): LlmRequest['headers'] {
    return this.#state.req.headers;
  }

  get ownHeaders(): readonly string[] {
    const { rawHeaders, socket } = this.#state.req;
    const certificate = certificateLine(socket);
    return certificate.length === 0 ? rawHeaders : [...rawHeaders, ...certificate];
  }

  body(maxBytes: number): RequestBody | BodyReason | Promise<RequestBody | BodyReason> {
    return this.#state.body(maxBytes, this, this.#host);
  }
}
