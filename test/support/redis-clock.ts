import {
  RedisConnection,
  type RedisConnectionOptions,
} from '../../policies/shared/redis/connection.ts';

type Client = Parameters<Parameters<RedisConnection['run']>[0]>[0];

/** Wraps a client so that its scripts see the test's time instead of Redis's. */
export function onClock(client: Client, clock: { readonly now: number }): Client {
  return new Proxy(client, {
    get(target, name) {
      if (name !== 'call') {
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      }
      return (command: string, script: string, ...rest: (string | number)[]) => {
        const time = `{'${Math.floor(clock.now / 1000)}', '${(clock.now % 1000) * 1000}'}`;
        return target.call(command, script.replaceAll("redis.call('TIME')", time), ...rest);
      };
    },
  });
}

/** A connection to a Redis whose clock the test controls. */
export class ClockedConnection extends RedisConnection {
  readonly #clock: { readonly now: number };

  constructor(options: RedisConnectionOptions, clock: { readonly now: number }) {
    super(options);
    this.#clock = clock;
  }

  override run<T>(command: (client: Client) => Promise<T>, timeoutMs?: number): Promise<T> {
    return super.run((client) => command(onClock(client, this.#clock)), timeoutMs);
  }
}
