import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

/** A stand-in for a provider, in its own process. */
export class Provider {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<Provider> {
    const child = fork(resolve('bench/tools/provider-main.ts'), { execArgv: ['--import=tsx'] });
    const [port] = (await once(child, 'message')) as [number];
    return new Provider(child, port);
  }

  /** Returns the number of calls so far. */
  async calls(): Promise<number> {
    return Number(await (await fetch(this.url)).text());
  }

  stop(): void {
    this.#child.kill();
  }
}
