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
import { isPlain } from './response-functions.ts';
import { UpstreamCall } from './upstream-call.ts';

/** What a request's state needs of the plugin. */
export interface ExchangeServices {
  readonly budget: ByteBudget;
  readonly faults: FaultLog;
}

/** Is told of the call that a proxy makes. */
export type CallListener = (call: ClientRequest) => void;

/** The request as the host of one policy sees it. */
export interface HostRequest extends Pick<LlmRequest, 'identity' | 'ownHeaders' | 'query'> {
  /** Another value than the last time when another policy has put another body there since. */
  readonly offered: unknown;
  /** The body that will be forwarded. */
  read(bounds: Bounds): Later<HeldBody | BodyReason>;
  /**
   * Gives a body that was read to the next reader, as though it had not been read. `called` is told
   * of the proxy's call, where the proxy reads it next; null where another policy may.
   */
  offer(body: RequestBody, called: CallListener | null): void;
}

/** What all policies that see one request share. */
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
  /** Where nothing but the proxy will write the response. */
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

  /** Whether another policy may read what is written as an answer. */
  get isAnswerRead(): boolean {
    return !isPlain(this.#res);
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

  /** The call that is made for the request when it goes on. */
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

  /** Of the upstream's message; null where none has been passed on. */
  get providerStatus(): number | null {
    return this.#call?.providerStatus ?? null;
  }

  /** Does `step` before another policy sees the request; at once, where one has. */
  beforeOthers(step: () => void): void {
    if (this.#isPassedOn) step();
    else this.#beforeOthers.push(step);
  }

  /** The request goes on to another policy; the first time, maybe straight to the proxy. */
  passOn(isProxyNext: boolean): void {
    this.#isProxyNext = isProxyNext && !this.#isPassedOn && this.#held !== null;
    if (this.#isProxyNext) this.#carrier = Carrier.of(this.#res, (then) => this.end.when(then));
    this.#isPassedOn = true;
    // Whether or not its answer is read, it must end as the upstream's did.
    void this.call;
    for (const step of this.#beforeOthers.splice(0)) step();
  }

  /** The next policy has had the request. */
  passedOn(): void {
    this.#carrier?.passedOn();
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

  /** The client's account, as the first policy that asks knows the client. */
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
    // A policy that has rewritten the body since has put another one there.
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
    // Another handler has answered before all of it had come.
    if (this.#isOver) this.#release();
  }

  #release(): void {
    this.#held?.release();
    this.#held = null;
  }
}
