import { Cluster, type ClusterNode, Redis, type RedisOptions } from 'ioredis';

export type RedisClient = Redis | Cluster;

export interface RedisAddress {
  readonly url: string | undefined;
  /** The client's own; `cluster`, a list of nodes, makes it a cluster's. */
  readonly options: Readonly<Record<string, unknown>>;
}

const retryStrategy = (times: number) => Math.min(times * 100, 500);

/** What is not answered at once is not worth waiting for. */
const impatient = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  connectTimeout: 2000,
  disconnectTimeout: 500,
  // A connection whose other end is gone without a word is made anew, not waited for.
  socketTimeout: 2000,
} satisfies RedisOptions;

/** A client that tries to connect, and goes on trying until it is told to disconnect. */
export function redisClient({ url, options }: RedisAddress): RedisClient {
  const { cluster, ...own } = options;
  if (Array.isArray(cluster)) {
    const { enableOfflineQueue, ...nodes } = impatient;
    return new Cluster(cluster as ClusterNode[], {
      enableOfflineQueue,
      clusterRetryStrategy: retryStrategy,
      ...own,
      redisOptions: { ...nodes, ...(own['redisOptions'] as RedisOptions | undefined) },
    });
  }
  const all = { ...impatient, retryStrategy, ...own };
  return url === undefined ? new Redis(all) : new Redis(url, all);
}

/**
 * A connection for a subscription: to the same Redis, or to one node of the cluster, for each of
 * them has all messages. Null as long as no node is known. It ends when it is lost.
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
