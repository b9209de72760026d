import type { ServerResponse } from 'node:http';
import type { Answer } from '../answer.ts';
import type { ByteBudget } from '../budget.ts';
import type { BodyReason, Exchange, LlmRequest, OpenExchange } from '../exchange.ts';
import { findProtocol } from '../protocols/index.ts';
import type { Protocol } from '../protocols/protocol.ts';
import type { RequestBody } from '../request-body.ts';
import type { HeldBody } from './body.ts';
import type { Carrier } from './carrier.ts';
import type { AppRequest } from './gateway.ts';
import { Lifeline } from './lifeline.ts';
import { isGone, Over } from './over.ts';

/** What all policies that see one request share. */
class Passage {
  readonly req: AppRequest;
  readonly protocol: Protocol;
  readonly over: Over;
  readonly claims = new Set<string>();
  /** As the policies of one carrier see it. */
  exchange: NodeExchange | null = null;
  carrierOf: unknown = null;
  served: Exchange['served'] = null;
  answer: Promise<Answer> | null = null;
  readonly #res: ServerResponse;
  readonly #budget: ByteBudget;
  #left: AbortController | null = null;
  #held: HeldBody | null = null;
  #isOver = false;
  #offered: unknown = null;
  #lifeline: Lifeline | null = null;
  #isPassedOn = false;
  readonly #beforeOthers: (() => void)[] = [];

  constructor(req: AppRequest, res: ServerResponse, protocol: Protocol, budget: ByteBudget) {
    this.req = req;
    this.protocol = protocol;
    this.over = new Over(req, res);
    this.#res = res;
    this.#budget = budget;
    this.over.when(() => {
      this.#isOver = true;
      this.#release();
    });
  }

  get isGone(): boolean {
    return isGone(this.req, this.#res);
  }

  get lifeline(): Lifeline {
    return (this.#lifeline ??= new Lifeline(this.req, this.#res, this.over));
  }

  get upstreamStatus(): number | null {
    return this.#lifeline?.upstream?.statusCode ?? null;
  }

  beforeOthers(step: () => void): void {
    if (this.#isPassedOn) step();
    else this.#beforeOthers.push(step);
  }

  passOn(): void {
    this.#isPassedOn = true;
    for (const step of this.#beforeOthers.splice(0)) step();
  }

  get left(): AbortSignal {
    if (this.#left === null) {
      const left = new AbortController();
      this.#left = left;
      const leave = () => left.abort();
      if (this.isGone) leave();
      else this.over.when(leave);
    }
    return this.#left.signal;
  }

  async body(maxBytes: number, carrier: Carrier): Promise<RequestBody | BodyReason> {
    // A policy that has rewritten the body since has put another one there.
    if (this.#held !== null && carrier.offered === this.#offered) {
      return this.#held.body.length > maxBytes ? 'request-too-large' : this.#held.body;
    }
    const read = await carrier.read(maxBytes, this.#budget);
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
export class NodeExchange implements OpenExchange {
  readonly request: LlmRequest;
  readonly carrier: Carrier;
  readonly #passage: Passage;

  constructor(passage: Passage, carrier: Carrier) {
    this.#passage = passage;
    this.carrier = carrier;
    this.request = new NodeRequest(passage, carrier);
  }

  get lifeline(): Lifeline {
    return this.#passage.lifeline;
  }

  /** Of the upstream's message; null where none has been passed on. */
  get upstreamStatus(): number | null {
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
    this.#passage.over.when(then);
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

/** The exchange of a request that the cache serves; null for any other. */
export function exchangeOf<R extends AppRequest>(
  req: R,
  res: ServerResponse,
  budget: ByteBudget,
  carrierOf: (req: R, res: ServerResponse) => Carrier,
): NodeExchange | null {
  let passage = passages.get(req);
  if (passage === undefined) {
    const protocol = protocolOf(req);
    if (protocol === null) return null;
    passage = new Passage(req, res, protocol, budget);
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

export function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

class NodeRequest implements LlmRequest {
  readonly protocol: Protocol;
  readonly path: string;
  readonly query: string;
  readonly #passage: Passage;
  readonly #carrier: Carrier;
  #own: Map<string, string[]> | null = null;

  constructor(passage: Passage, carrier: Carrier) {
    const { originalUrl } = passage.req;
    this.#passage = passage;
    this.#carrier = carrier;
    this.protocol = passage.protocol;
    this.path = pathOf(originalUrl);
    this.query = originalUrl.slice(this.path.length);
  }

  get forwardedUrl(): string {
    return this.#carrier.forwardedUrl;
  }

  get apiEndpoint(): string | null {
    return this.#carrier.apiEndpoint;
  }

  get consumer(): unknown {
    return this.#carrier.consumer;
  }

  get left(): AbortSignal {
    return this.#passage.left;
  }

  header(name: string): string | undefined {
    const value = this.#passage.req.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  ownHeader(name: string): readonly string[] {
    return (this.#own ??= headersIn(this.#passage.req.rawHeaders)).get(name) ?? [];
  }

  body(maxBytes: number): Promise<RequestBody | BodyReason> {
    return this.#passage.body(maxBytes, this.#carrier);
  }
}

/** By lower-case name, as the client sent them. */
function headersIn(raw: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const [name = '', value = ''] = [raw[at]?.toLowerCase(), raw[at + 1]];
    const known = found.get(name);
    if (known === undefined) found.set(name, [value]);
    else known.push(value);
  }
  return found;
}
