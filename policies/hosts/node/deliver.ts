import type { ServerResponse } from 'node:http';
import onHeaders from 'on-headers';
import type { LlmCacheSettings } from '../../../schemas/llm-cache.ts';
import type { CacheType } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { NodeExchange } from './exchange.ts';
import { breakOff } from './response-end.ts';
import { headerText, type InnerResponse, tap } from './tap.ts';
import { appendCacheStatus, cacheStatus } from '../../llm-cache/cache-status.ts';
import { countServed, type Decision, type Forward, outcomeOf } from '../../llm-cache/decision.ts';
import type { CachedResponse } from '../../llm-cache/entry.ts';
import { type Flight, mayBeBehind } from '../../llm-cache/flight.ts';
import { answerUnavailable, follow, replayHit, replayJoined, replayStale } from './replay.ts';
import { staleIfError } from './stale-if-error.ts';
import type { OutcomeName, Tally } from '../../llm-cache/stats.ts';
import type { Timings } from '../../llm-cache/timings.ts';

export interface Delivery {
  readonly exchange: NodeExchange;
  readonly res: ServerResponse;
  readonly tally: Tally;
  readonly settings: LlmCacheSettings;
  readonly timings: Timings;
  /** When the request came, by `performance.now()`. */
  readonly startedAt: number;
  /** An expired entry answered. */
  readonly used: (key: string, entry: CachedResponse) => void;
  readonly faults: FaultLog;
}

/**
 * Does what was decided. True when the request has its answer, false when it is to go on. Throws
 * where an answer of the cache's own cannot be written; before its head nothing of it stays behind.
 */
export function deliver(decision: Decision, delivery: Delivery): boolean {
  const { exchange, res, tally } = delivery;
  // The client has left meanwhile, or somebody else has answered.
  if (exchange.isGone || res.headersSent) {
    letGo(decision, tally);
    return true;
  }
  switch (decision.kind) {
    case 'gone':
      return true;
    case 'hit':
      served(exchange, 'exact', decision.entry);
      replayHit(res, decision);
      return answered(delivery, decision, 'hit');
    case 'joined':
      served(exchange, 'coalesced', decision.entry);
      replayJoined(res, decision);
      return answered(delivery, decision, 'coalesced');
    case 'following':
      exchange.served = { cacheType: 'coalesced', facts: decision.flight.answer };
      onHeaders(res, () => firstByte(delivery, 'coalesced'));
      follow(res, decision, { left: exchange.request.left, tally, faults: delivery.faults });
      countServed(decision, tally);
      return true;
    case 'unavailable':
      answerUnavailable(res, decision, exchange.request.protocol);
      return true;
    default:
      forward(decision, delivery);
      return false;
  }
}

function answered(delivery: Delivery, decision: Decision, outcome: OutcomeName): true {
  firstByte(delivery, outcome);
  countServed(decision, delivery.tally);
  return true;
}

/** Nothing is to be done any more. */
function letGo(decision: Decision, tally: Tally): void {
  countServed(decision, tally);
  if (decision.kind === 'following') decision.follower.leave();
  if (!('fallback' in decision)) return;
  decision.flight?.abort('client-left');
  if (decision.fallback !== null) tally.count(outcomeOf(decision), decision.reason);
}

function served(exchange: NodeExchange, cacheType: CacheType, entry: CachedResponse): void {
  const { responseId: id, model, usage } = entry;
  exchange.served = { cacheType, facts: { id, model, usage } };
}

function firstByte({ timings, tally, startedAt }: Delivery, outcome: OutcomeName): void {
  timings.firstByte(tally, outcome, (performance.now() - startedAt) / 1000);
}

/** Says in the response what the cache did, in place of what a cache further up said of itself. */
function mark(decision: Forward, delivery: Delivery, outcome: OutcomeName): void {
  const { res } = delivery;
  firstByte(delivery, outcome);
  if (outcome === 'stale') return;
  res.removeHeader('X-Cache');
  res.removeHeader('Age');
  const upstreams = headerText(res, 'Cache-Status');
  res.setHeader('Cache-Status', appendCacheStatus(upstreams, cacheStatus(decision)));
}

/** Lets the request go on, and its answer be seen. */
function forward(decision: Forward, delivery: Delivery): void {
  const { exchange, res, tally } = delivery;
  const { flight, fallback } = decision;
  let outcome: OutcomeName = outcomeOf(decision);
  const headPasses = () => mark(decision, delivery, outcome);
  // The flight reads the answer for the books as well.
  if (flight !== null) exchange.answer = flight.answer;
  exchange.passOn();
  if (flight === null) return onHeaders(res, headPasses);
  const inner = attach(flight, delivery, headPasses);
  if (fallback === null) return;
  void flight.finished.then(() => tally.count(outcome, decision.reason));
  staleIfError(res, exchange, (status) => {
    served(exchange, 'stale', fallback);
    outcome = 'stale';
    if (decision.key !== null) delivery.used(decision.key, fallback);
    flight.abort(status === null ? 'aborted' : 'status');
    replayStale(res, fallback, { status, now: Date.now(), inner });
  });
}

/** Lets the flight see the answer, and ties it to the call and to the client that make it. */
function attach(flight: Flight, delivery: Delivery, headPasses: () => void): InnerResponse {
  const { exchange, res, faults, tally, settings } = delivery;
  const { call } = exchange;
  call.goesOn = () => flight.leaderLeft();
  flight.onDeserted = () => call.abandon();
  // A pipe that had paused for this client alone goes on: its client now reads at its own pace.
  flight.onCompany = () => call.resume();
  const keepsPace = () => {
    if (res.destroyed) return true;
    if (!flight.hasCompany) return false;
    if (res.writableLength > mayBeBehind(settings.maxResponseBytes)) {
      tally.countSlowReader();
      breakOff(res);
    }
    return true;
  };
  return tap({ res, call, observer: flight, faults, keepsPace, headPasses });
}
