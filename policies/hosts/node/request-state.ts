import type { ClientRequest, ServerResponse } from 'node:http';
import { type ByteBudget, ClientAccount } from '../../shared/bytes/budget.ts';
import {
  type BodyReason,
  clientClosedRequest,
  type Exchange,
  type LlmRequest,
} from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import { clientsOf } from '../../shared/identity/client-of.ts';
import type { Protocol } from '../../shared/protocols/protocol.ts';
import { type Later, type RequestBody, whenKnown } from '../../shared/request-body.ts';
import type { AppRequest } from './app-request.ts';
import type { Bounds, HeldBody } from './body.ts';
import { Carrier } from './carrier.ts';
import type { RecentRequest } from './recent-request.ts';
import { isGone, ResponseEnd } from './response-end.ts';
import { guardOf } from './response-guard.ts';
import { hasOnlyLayers } from './response-functions.ts';
import { UpstreamCall } from './upstream-call.ts';

/** The plugin's services that a request's state uses. */
export interface ExchangeServices {
  readonly budget: ByteBudget;
  readonly faults: FaultLog;
}

/** Receives the proxy's call to the upstream. */
export type CallListener = (call: ClientRequest) => void;

/** A request as the host of one policy represents it. */
export interface HostRequest extends Pick<LlmRequest, 'identity' | 'ownHeaders' | 'query'> {
  /** What the next policy reads the body from. It changes when a policy replaces the body. */
  readonly offered: unknown;
  /** Reads the body that will be forwarded. */
  read(bounds: Bounds): Later<HeldBody | BodyReason>;
  /**
   * Offers the next reader a body that was read, as if it had not been read. If the proxy is the next
   * reader, `called` receives its call. If another policy may read the body, `called` is null.
   */
  offer(body: RequestBody, called: CallListener | null): void;
}

/** The state of one request, shared by all policies that see it. */
export class RequestState {
  readonly req: AppRequest;
  readonly protocol: Protocol;
  readonly end: ResponseEnd;
  cacheType: Exchange['cacheType'] = null;
  cacheKey: Exchange['cacheKey'] = null;
  answer: Exchange['answer'] = null;
  saved: Exchange['saved'] = null;
  note: RecentRequest | null = null;
  readonly #res: ServerResponse;
  readonly #services: ExchangeServices;
  #claims = '';
  #account: ClientAccount | null = null;
  #left: AbortController | null = null;
  #held: HeldBody | null = null;
  #isOver = false;
  #offered: unknown = null;
  #call: UpstreamCall | null = null;
  #isPassedOn = false;
  #isProxyNext = false;
  /** Not null if only the proxy will write the response. */
  #carrier: Carrier | null = null;
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

  /** Whether another policy may read the bytes that are written to the response. */
  get isAnswerRead(): boolean {
    return !hasOnlyLayers(this.#res);
  }

  /** True for the first step of `policy` that takes the request; a later one lets it pass. */
  claim(policy: string): boolean {
    if (this.#claims.includes(policy)) return false;
    this.#claims += policy;
    return true;
  }

  /** Whether the client has left. */
  get isGone(): boolean {
    return isGone(this.req, this.#res);
  }

  /** The call to the upstream, which is made if the request is passed on. */
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

  /** The status of the upstream's message; null if none has reached the response. */
  get providerStatus(): number | null {
    return this.#call?.providerStatus ?? null;
  }

  /** Runs `step` before the request is passed on to another policy; at once if it has been. */
  beforeOthers(step: () => void): void {
    if (this.#isPassedOn) step();
    else this.#beforeOthers.push(step);
  }

  /**
   * Passes the request on to another policy. If the first policy to do so passes it straight to the
   * proxy, a carrier may carry the answer.
   */
  passOn(isProxyNext: boolean): void {
    this.#isProxyNext = isProxyNext && !this.#isPassedOn && this.#held !== null;
    if (this.#isProxyNext) this.#carrier = Carrier.of(this.#res, (then) => this.end.when(then));
    this.#isPassedOn = true;
    // The call guards the response, which must end as the upstream's message did even if unread.
    void this.call;
    for (const step of this.#beforeOthers.splice(0)) step();
  }

  /** The next policy's handler has returned. */
  nextReturned(): void {
    this.#carrier?.nextReturned();
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

  /** The client's account. The first `host` that asks decides who the client is. */
  accountOf(host: HostRequest): ClientAccount {
    return (this.#account ??= new ClientAccount(this.#services.budget, [
      this.req.socket,
      ...clientsOf(host),
    ]));
  }

  body(
    maxBytes: number,
    host: HostRequest,
  ): RequestBody | BodyReason | Promise<RequestBody | BodyReason> {
    // If it differs, another policy has replaced the body since it was read.
    if (this.#held !== null && host.offered === this.#offered) {
      const { body } = this.#held;
      return body.length > maxBytes ? 'request-too-large' : body.within(maxBytes);
    }
    return this.#read(maxBytes, host);
  }

  #read(maxBytes: number, host: HostRequest): Later<RequestBody | BodyReason> {
    const account = this.accountOf(host);
    const whenOver = (then: () => void) => this.end.when(then);
    return whenKnown(host.read({ maxBytes, account, whenOver }), (read) => {
      if (typeof read === 'string') return read;
      this.#hold(read, host);
      return read.body;
    });
  }

  #hold(read: HeldBody, host: HostRequest): void {
    this.#release();
    this.#held = read;
    this.#offered = host.offered;
    this.beforeOthers(() => {
      const called = (call: ClientRequest) => this.#carrier?.follow(call);
      host.offer(read.body, this.#isProxyNext ? called : null);
      this.#offered = host.offered;
    });
    // Another handler may have answered before the whole body arrived.
    if (this.#isOver) this.#release();
  }

  #release(): void {
    this.#held?.release();
    this.#held = null;
  }
}
