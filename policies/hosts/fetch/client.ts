import type { ClientPort } from '../../llm-cache/deliver.ts';
import type { Follower } from '../../llm-cache/follower.ts';
import type { ForwardedCall } from '../../llm-cache/forwarded-call.ts';
import type { Reply, ReplyHead } from '../../llm-cache/replies.ts';
import { HandlerCall } from './call.ts';
import type { WebClientParts } from './client-parts.ts';
import { goneResponse, liveResponse, wholeResponse } from './responses.ts';

/** The client's response, now or when the handler has answered. */
export type Answered = Response | Promise<Response>;

/** A client of a fetch handler. Each method returns the client's response. */
export class WebClient implements ClientPort<Answered> {
  readonly #parts: WebClientParts;

  constructor(parts: WebClientParts) {
    this.#parts = parts;
  }

  gone(): Response {
    return goneResponse(this.#parts.exchange);
  }

  reply(reply: Reply): Response {
    return wholeResponse(reply, this.#parts.exchange);
  }

  stream(head: ReplyHead, follower: Follower): Response {
    return liveResponse(head, follower, this.#parts);
  }

  /** Rejects with what the handler throws, unless an expired entry stands in for the answer. */
  forward(call: ForwardedCall): Promise<Response> {
    return new HandlerCall(call, this.#parts).response();
  }
}
