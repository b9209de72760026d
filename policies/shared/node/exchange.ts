import type { ServerResponse } from 'node:http';
import type { Answer } from '../answer.ts';
import type { ByteBudget } from '../budget.ts';
import type { BodyReason, Exchange, LlmRequest } from '../exchange.ts';
import { findProtocol } from '../protocols/index.ts';
import type { Protocol } from '../protocols/protocol.ts';
import type { RequestBody } from '../request-body.ts';
import { type HeldBody, readBody } from './body.ts';
import type { GatewayRequest } from './gateway.ts';
import { Lifeline } from './lifeline.ts';
import { isGone, onceOver } from './over.ts';

/** One request through the gateway; both policies work on the same one. */
export class NodeExchange implements Exchange {
  readonly request: LlmRequest;
  readonly lifeline: Lifeline;
  served: Exchange['served'] = null;
  answer: Promise<Answer> | null = null;
  readonly #req: GatewayRequest;
  readonly #res: ServerResponse;
  readonly #claims = new Set<string>();

  constructor(req: GatewayRequest, res: ServerResponse, protocol: Protocol, budget: ByteBudget) {
    this.#req = req;
    this.#res = res;
    this.request = new NodeRequest(req, res, protocol, budget);
    this.lifeline = new Lifeline(req, res);
  }

  /** Whether nobody is there any more to answer. */
  get isGone(): boolean {
    return isGone(this.#req, this.#res);
  }

  /** True for the first step of `policy` that takes the request; a later one lets it pass. */
  claim(policy: string): boolean {
    if (this.#claims.has(policy)) return false;
    this.#claims.add(policy);
    return true;
  }
}

const exchanges = new WeakMap<GatewayRequest, NodeExchange>();

/** The exchange of a request that the cache serves; null for any other. */
export function exchangeOf(
  req: GatewayRequest,
  res: ServerResponse,
  budget: ByteBudget,
): NodeExchange | null {
  const known = exchanges.get(req);
  if (known !== undefined) return known;
  const protocol = protocolOf(req);
  if (protocol === null) return null;
  const exchange = new NodeExchange(req, res, protocol, budget);
  exchanges.set(req, exchange);
  return exchange;
}

/** By method and the path that the client sent. */
export function protocolOf(req: Pick<GatewayRequest, 'method' | 'originalUrl'>): Protocol | null {
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
  readonly #req: GatewayRequest;
  readonly #res: ServerResponse;
  readonly #budget: ByteBudget;
  #left: AbortController | null = null;
  #held: HeldBody | null = null;
  #isOver = false;
  #offered: unknown = null;

  constructor(req: GatewayRequest, res: ServerResponse, protocol: Protocol, budget: ByteBudget) {
    this.#req = req;
    this.#res = res;
    this.#budget = budget;
    this.protocol = protocol;
    this.path = pathOf(req.originalUrl);
    this.query = req.originalUrl.slice(this.path.length);
    onceOver(req, res, () => {
      this.#isOver = true;
      this.#release();
    });
  }

  get forwardedUrl(): string {
    return this.#req.url ?? '';
  }

  get apiEndpoint(): string | null {
    return this.#req.egContext.apiEndpoint?.apiEndpointName ?? null;
  }

  get consumer(): unknown {
    return this.#req.egContext.consumer;
  }

  get left(): AbortSignal {
    if (this.#left === null) {
      const left = new AbortController();
      this.#left = left;
      const leave = () => left.abort();
      if (isGone(this.#req, this.#res)) leave();
      else onceOver(this.#req, this.#res, leave);
    }
    return this.#left.signal;
  }

  header(name: string): string | undefined {
    const value = this.#req.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  ownHeader(name: string): readonly string[] {
    const raw = this.#req.rawHeaders;
    return raw.filter((_, index) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === name);
  }

  async body(maxBytes: number): Promise<RequestBody | BodyReason> {
    // A policy that has rewritten the body since has put another stream there.
    if (this.#held !== null && this.#req.egContext.requestStream === this.#offered) {
      return this.#held.body.bytes.length > maxBytes ? 'request-too-large' : this.#held.body;
    }
    const read = await readBody(this.#req, maxBytes, this.#budget);
    if (typeof read === 'string') return read;
    this.#release();
    this.#held = read;
    this.#offered = this.#req.egContext.requestStream;
    // Somebody has answered before all of it had come.
    if (this.#isOver) this.#release();
    return read.body;
  }

  #release(): void {
    this.#held?.release();
    this.#held = null;
  }
}
