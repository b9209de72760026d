import type { ServerResponse } from 'node:http';
import type { Answer } from '../answer.ts';
import { type ByteBudget, ClientAccount } from '../budget.ts';
import { clientOf } from '../client-of.ts';
import {
  type BodyReason,
  clientClosedRequest,
  type Exchange,
  type LlmRequest,
} from '../exchange.ts';
import type { FaultLog } from '../faults.ts';
import type { Identity } from '../identity.ts';
import { findProtocol } from '../protocols/index.ts';
import type { Protocol } from '../protocols/protocol.ts';
import type { RequestBody } from '../request-body.ts';
import type { HeldBody } from './body.ts';
import type { Carrier } from './carrier.ts';
import { certificateLine } from './client-certificate.ts';
import type { AppRequest } from './gateway.ts';
import { isGone, ResponseEnd } from './response-end.ts';
import { guardOf } from './response-guard.ts';
import { UpstreamCall } from './upstream-call.ts';

/** What an exchange needs of the plugin. */
export interface ExchangeServices {
  readonly budget: ByteBudget;
  readonly faults: FaultLog;
}

/** What all policies that see one request share. */
class Passage {
  readonly req: AppRequest;
  readonly protocol: Protocol;
  readonly end: ResponseEnd;
  readonly claims = new Set<string>();
  /** As the policies of one carrier see it. */
  exchange: NodeExchange | null = null;
  carrierOf: unknown = null;
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
    carrier: Carrier,
  ): RequestBody | BodyReason | Promise<RequestBody | BodyReason> {
    // A policy that has rewritten the body since has put another one there.
    if (this.#held !== null && carrier.offered === this.#offered) {
      const { body } = this.#held;
      return body.length > maxBytes ? 'request-too-large' : body.within(maxBytes);
    }
    return this.#read(maxBytes, request, carrier);
  }

  async #read(
    maxBytes: number,
    request: LlmRequest,
    carrier: Carrier,
  ): Promise<RequestBody | BodyReason> {
    const account = this.accountOf(request);
    const whenOver = (then: () => void) => this.end.when(then);
    const read = await carrier.read({ maxBytes, account, whenOver });
    if (typeof read === 'string') return read;
    this.#release();
    this.#held = read;
    this.#offered = carrier.offered;
    this.beforeOthers(() => {
      carrier.offer(read.body);
      this.#offered = carrier.offered;
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
  readonly carrier: Carrier;
  readonly #passage: Passage;

  constructor(passage: Passage, carrier: Carrier) {
    this.#passage = passage;
    this.carrier = carrier;
    this.request = new NodeRequest(passage, carrier);
  }

  /** The call that is made for the request when it goes on. */
  get call(): UpstreamCall {
    return this.#passage.call;
  }

  get status(): number {
    return this.#passage.status;
  }

  /** Of the upstream's message; null where none has been passed on. */
  get providerStatus(): number | null {
    return this.#passage.upstreamStatus;
  }

  /** Does `step` before anybody else sees the request; at once, where somebody has. */
  beforeOthers(step: () => void): void {
    this.#passage.beforeOthers(step);
  }

  /** The request goes on to somebody else. */
  passOn(): void {
    this.#passage.passOn();
  }

  get served(): Exchange['served'] {
    return this.#passage.served;
  }

  set served(served: Exchange['served']) {
    this.#passage.served = served;
  }

  get answer(): Promise<Answer> | null {
    return this.#passage.answer;
  }

  set answer(answer: Promise<Answer> | null) {
    this.#passage.answer = answer;
  }

  /** Whether nobody is there any more to answer. */
  get isGone(): boolean {
    return this.#passage.isGone;
  }

  /** Calls `then` once, when the response is over or its connection is gone. */
  whenOver(then: () => void): void {
    this.#passage.end.when(then);
  }

  /** True for the first step of `policy` that takes the request; a later one lets it pass. */
  claim(policy: string): boolean {
    const { claims } = this.#passage;
    if (claims.has(policy)) return false;
    claims.add(policy);
    return true;
  }
}

const passages = new WeakMap<AppRequest, Passage>();

/**
 * The exchange of a request that the cache serves; null for any other, whose response is guarded
 * all the same.
 */
export function exchangeOf<R extends AppRequest>(
  req: R,
  res: ServerResponse,
  services: ExchangeServices,
  carrierOf: (req: R, res: ServerResponse) => Carrier,
): NodeExchange | null {
  let passage = passages.get(req);
  if (passage === undefined) {
    const protocol = protocolOf(req);
    if (protocol === null) {
      guardOf(req, res, services.faults);
      return null;
    }
    passage = new Passage(req, res, protocol, services);
    passages.set(req, passage);
  }
  if (passage.exchange === null || passage.carrierOf !== carrierOf) {
    passage.exchange = new NodeExchange(passage, carrierOf(req, res));
    passage.carrierOf = carrierOf;
  }
  return passage.exchange;
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
  readonly #passage: Passage;
  readonly #carrier: Carrier;

  constructor(passage: Passage, carrier: Carrier) {
    const { originalUrl } = passage.req;
    this.#passage = passage;
    this.#carrier = carrier;
    this.protocol = passage.protocol;
    this.path = pathOf(originalUrl);
    this.query = queryOf(originalUrl);
  }

  get forwardedUrl(): string {
    return this.#carrier.forwardedUrl;
  }

  get apiEndpoint(): string | null {
    return this.#carrier.apiEndpoint;
  }

  get requestId(): string | null {
    return this.#carrier.requestId;
  }

  get identity(): Identity {
    return this.#carrier.identity;
  }

  get account(): ClientAccount {
    return this.#passage.accountOf(this);
  }

  get left(): AbortSignal {
    return this.#passage.left;
  }

  whenOver(then: () => void): void {
    this.#passage.end.when(then);
  }

  header(name: string): string | undefined {
    const value = this.#passage.req.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  get headers(): LlmRequest['headers'] {
    return this.#passage.req.headers;
  }

  get ownHeaders(): readonly string[] {
    const { rawHeaders, socket } = this.#passage.req;
    const certificate = certificateLine(socket);
    return certificate.length === 0 ? rawHeaders : [...rawHeaders, ...certificate];
  }

  body(maxBytes: number): RequestBody | BodyReason | Promise<RequestBody | BodyReason> {
    return this.#passage.body(maxBytes, this, this.#carrier);
  }
}
