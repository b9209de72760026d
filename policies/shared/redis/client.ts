import { Cluster, type ClusterNode, Redis, type RedisOptions } from 'ioredis';

export type RedisClient = Redis | Cluster;

export interface RedisAddress {
  readonly url: string | undefined;
  /** Options of ioredis. A list of nodes in `cluster` makes the client a cluster client. */
  readonly options: Readonly<Record<string, unknown>>;
}

const retryStrategy = (times: number) => Math.min(times * 100, 500);

/** Options that fail fast: a late answer of a cache is worth nothing. */
const failFast = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  connectTimeout: 2000,
  disconnectTimeout: 500,
  // If the other end has vanished without closing, reconnect instead of waiting for it.
  socketTimeout: 2000,
} satisfies RedisOptions;

/** Returns a client that connects, and reconnects until it is told to disconnect. */
export function redisClient({ url, options }: RedisAddress): RedisClient {
  const { cluster, ...own } = options;
  if (Array.isArray(cluster)) {
    const { enableOfflineQueue, ...nodes } = failFast;
    return new Cluster(cluster as ClusterNode[], {
      enableOfflineQueue,
      clusterRetryStrategy: retryStrategy,
      ...own,
      redisOptions: { ...nodes, ...(own['redisOptions'] as RedisOptions | undefined) },
    });
  }
  const all = { ...failFast, retryStrategy, ...own };
  return url === undefined ? new Redis(all) : new Redis(url, all);
}

/**
 * Returns a client for a subscription: to the same Redis, or to one node of the cluster, because every
 * node gets all messages. Returns null while no node is known. The client does not reconnect.
 */
export function subscriberClient(address: RedisAddress, client: RedisClient): Redis | null {
  const own = { retryStrategy: null, autoResubscribe: false, socketTimeout: 1500 } as const;
  if (client instanceof Cluster) {
    const nodes = client.nodes('master');
    const node = nodes[Math.floor(Math.random() * nodes.length)];
    return node?.duplicate({ ...own, lazyConnect: false, readOnly: false }) ?? null;
  }
  return redisClient({ ...address, options: { ...address.options, ...own } }) as Redis;
}
