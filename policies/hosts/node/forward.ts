import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Flight } from '../../llm-cache/flight.ts';
import { type ForwardedCall, otherCachesHeaders } from '../../llm-cache/forwarded-call.ts';
import type { NodeClientParts } from './client-parts.ts';
import { breakOff, uncork } from './response-end.ts';
import type { Below } from './response-functions.ts';
import { HeadLayer } from './response-layer.ts';
import { type CallOwner, headerText, tap } from './tap.ts';
import { completeAnswer } from './whole-answer.ts';
import { writeWhole } from './write-reply.ts';

/** Passes a request on to the upstream, and lets the cache read the answer. */
export function forward(forwarded: ForwardedCall, parts: NodeClientParts): void {
  const { exchange, res, faults, isProxyNext } = parts;
  const { flight } = forwarded;
  exchange.passOn(isProxyNext);
  if (flight === null) {
    markOnly(forwarded, res);
    return;
  }
  const { call } = exchange;
  flight.leadBy(call);
  const { asked } = forwarded;
  if (asked !== null) {
    exchange.replaceBody(asked);
    markOnly(forwarded, res);
    const { account } = exchange;
    completeAnswer(forwarded, { res, call, flight, faults, account, maxBytes: parts.maxBehind });
    return;
  }
  const owner = new Leader(forwarded, flight, parts);
  const below = tap({ res, call, observer: flight, faults, owner });
  if (forwarded.hasStandIn) staleIfError(forwarded, parts, below);
}

/** Sets the headers that tell what the cache did, in place of those of a cache further upstream. */
function mark(forwarded: ForwardedCall, res: ServerResponse): void {
  const marks = forwarded.marks(headerText(res, 'Cache-Status'));
  if (marks === null) return;
  for (const name of otherCachesHeaders) res.removeHeader(name);
  for (const name in marks) res.setHeader(name, marks[name] ?? '');
}

/** Marks an answer that the cache does not read as it passes. */
function markOnly(forwarded: ForwardedCall, res: ServerResponse): HeadLayer {
  return new MarkingLayer(forwarded, res);
}

class MarkingLayer extends HeadLayer {
  readonly #forwarded: ForwardedCall;

  constructor(forwarded: ForwardedCall, res: ServerResponse) {
    super(res);
    this.#forwarded = forwarded;
  }

  protected override beforeHead(): void {
    mark(this.#forwarded, this.res);
  }
}

/** The client whose request makes a call that other requests may share. */
class Leader implements CallOwner {
  readonly #forwarded: ForwardedCall;
  readonly #flight: Flight;
  readonly #parts: NodeClientParts;

  constructor(forwarded: ForwardedCall, flight: Flight, parts: NodeClientParts) {
    this.#forwarded = forwarded;
    this.#flight = flight;
    this.#parts = parts;
  }

  beforeHead(): void {
    mark(this.#forwarded, this.#parts.res);
  }

  outlivesClient(): boolean {
    return this.#flight.leaderLeft();
  }

  keepsPace(): boolean {
    const { res, maxBehind, tally } = this.#parts;
    if (res.destroyed) return true;
    if (!this.#flight.hasCompany) return false;
    // What Node holds back until the end of the tick does not wait for the client.
    if (res.writableLength > maxBehind) uncork(res);
    if (res.writableLength > maxBehind) {
      tally.countSlowReader();
      breakOff(res);
    }
    return true;
  }
}

/** Answers with the expired entry, below the tap, if the upstream fails before its first byte. */
function staleIfError(
  forwarded: ForwardedCall,
  { exchange, res }: NodeClientParts,
  below: Below,
): void {
  const before: OutgoingHttpHeaders = { ...res.getHeaders() };
  exchange.call.replaceFailures({
    isFailing: (status) => forwarded.replaces(status),
    isFailure: (status, text) => exchange.isFailure(status, text),
    answer: (status) => {
      for (const name of res.getHeaderNames()) res.removeHeader(name);
      for (const [name, value] of Object.entries(before)) {
        if (value !== undefined) res.setHeader(name, value);
      }
      res.statusMessage = 'OK';
      writeWhole(res, forwarded.standIn(status), below);
    },
  });
}
