import type { ClientPort } from '../../llm-cache/deliver.ts';
import type { Follower } from '../../llm-cache/follower.ts';
import type { ForwardedCall } from '../../llm-cache/forwarded-call.ts';
import type { Reply, ReplyHead } from '../../llm-cache/replies.ts';
import { ChunkWriter } from './chunk-writer.ts';
import type { NodeClientParts } from './client-parts.ts';
import { forward } from './forward.ts';
import { breakOff } from './response-end.ts';
import { setHead, takeBack, writeWhole } from './write-reply.ts';

/** A client that a Node response answers. Each method returns whether it has answered the request. */
export class NodeClient implements ClientPort<boolean> {
  readonly #parts: NodeClientParts;

  constructor(parts: NodeClientParts) {
    this.#parts = parts;
  }

  gone(): true {
    return true;
  }

  reply(reply: Reply): true {
    const { res } = this.#parts;
    writeWhole(res, reply);
    return true;
  }

  stream(head: ReplyHead, follower: Follower): true {
    const { res, tally, faults, exchange } = this.#parts;
    try {
      setHead(res, head);
      const writer = new ChunkWriter(res, () => follower.resume());
      exchange.left.addEventListener('abort', () => follower.leave());
      follower.attach({
        write: (bytes) => writer.write(bytes),
        end: () => res.end(),
        break: () => {
          if (follower.tooSlow) tally.countSlowReader();
          breakOff(res);
        },
        fail: (error) => {
          faults.report('llm-cache: a response could not be written', error);
          breakOff(res);
        },
      });
    } catch (error) {
      follower.leave();
      takeBack(res, head);
      throw error;
    }
    return true;
  }

  forward(call: ForwardedCall): false {
    forward(call, this.#parts);
    return false;
  }
}
