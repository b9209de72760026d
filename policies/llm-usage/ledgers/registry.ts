import type { LedgerSettings } from '../../../schemas/plugin.ts';
import type { Log } from '../../shared/log.ts';
import type { RedisConnection } from '../../shared/redis/connection.ts';
import type { Ledger } from '../ledger.ts';
import { MemoryLedger } from './memory.ts';
import { RedisLedger } from './redis.ts';

/** Where in Redis a ledger is kept. */
export interface LedgerPlace {
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
}

interface Kept {
  readonly connection: RedisConnection;
  readonly name: string;
  readonly ledger: RedisLedger;
}

/** Creates the ledgers and keeps them across configuration reloads, so that sums in memory survive. */
export class LedgerRegistry {
  readonly #log: Log;
  readonly #inRedis: Kept[] = [];
  #inMemory: MemoryLedger | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Returns the ledger of a configuration: in `place`, or in memory if that is null. */
  open({ retentionDays, maxGroups }: LedgerSettings, place: LedgerPlace | null): Ledger {
    if (place === null) {
      this.#inMemory ??= new MemoryLedger({ retentionDays, maxGroups });
      this.#inMemory.configure({ retentionDays, maxGroups });
      return this.#inMemory;
    }
    const { connection, keyPrefix } = place;
    const name = JSON.stringify([keyPrefix, retentionDays, maxGroups]);
    const known = this.#inRedis.find(
      (kept) => kept.connection === connection && kept.name === name,
    );
    if (known !== undefined) return known.ledger;
    const log = this.#log;
    const ledger = new RedisLedger({ connection, keyPrefix, retentionDays, maxGroups, log });
    this.#inRedis.push({ connection, name, ledger });
    return ledger;
  }

  /** Flushes every ledger and disconnects it from Redis. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#inRedis.map(({ ledger }) => ledger.close()));
  }

  async flush(): Promise<void> {
    await Promise.allSettled(this.#inRedis.map(({ ledger }) => ledger.flush()));
  }

  flushSync(): void {
    for (const { ledger } of this.#inRedis) ledger.flushSync();
  }
}
