import type { ClientPort } from '../../llm-cache/deliver.ts';
import type { Follower } from '../../llm-cache/follower.ts';
import type { ForwardedCall } from '../../llm-cache/forwarded-call.ts';
import type { Reply, ReplyHead } from '../../llm-cache/replies.ts';
import { HandlerCall } from './call.ts';
import type { WebClientParts } from './client-parts.ts';
import { goneResponse, liveResponse, wholeResponse } from './responses.ts';

/** What a client gets, now or when its handler has answered. */
export type Answered = Response | Promise<Response>;

/** The client of a fetch handler; each verb gives what the client gets. */
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

  /** Rejects with what the handler throws, where no expired entry stands in for it. */
  forward(call: ForwardedCall): Promise<Response> {
    return new HandlerCall(call, this.#parts).response();
  }
}
