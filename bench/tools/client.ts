import { fork } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { CrowdOrder, LoadOrder, Order, ProbeOrder, Results } from './orders.ts';

/** A client in its own process. */
export class Client {
  readonly #child = fork(resolve('bench/tools/client-main.ts'), { execArgv: ['--import=tsx'] });

  load = (order: Omit<LoadOrder, 'kind'>) => this.#do<'load'>({ kind: 'load', ...order });
  probe = (order: Omit<ProbeOrder, 'kind'>) => this.#do<'probe'>({ kind: 'probe', ...order });
  crowd = (order: Omit<CrowdOrder, 'kind'>) => this.#do<'crowd'>({ kind: 'crowd', ...order });

  stop(): void {
    this.#child.kill();
  }

  async #do<K extends Order['kind']>(order: Extract<Order, { kind: K }>): Promise<Results[K]> {
    this.#child.send(order);
    const [reply] = (await once(this.#child, 'message')) as [
      { error: string } | { result: unknown },
    ];
    if ('error' in reply) throw new Error(reply.error);
    return reply.result as Results[K];
  }
}
