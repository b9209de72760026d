import { Gateway, type GatewayOptions } from '../../test/support/gateway.ts';
import { gatewayConfig } from '../../test/support/pipelines.ts';
import { Client } from './client.ts';
import { answer, queryOf, question, type Wanted } from './messages.ts';
import type { Target } from './orders.ts';
import { Provider } from './provider.ts';

/** The two policies as they stand in the README; no pipeline of a benchmark says more of them. */
export const plugin = [{ 'llm-usage': {} }, { 'llm-cache': {} }];

/** Without a line a request in the log, which is the logger's cost and not the cache's. */
export const quiet = { usage: { sinks: [] } };

type Pipelines = Readonly<Record<string, readonly object[]>>;
type More = Partial<Omit<GatewayOptions, 'gateway'>>;

/** A provider, a gateway in front of it and a client, each a process of its own. */
export class Site {
  readonly client = new Client();
  readonly provider: Provider;
  readonly gateways: Gateway[] = [];

  private constructor(provider: Provider) {
    this.provider = provider;
  }

  /** Starts all, has `use` them and ends them, however that ends. */
  static async with<T>(use: (site: Site) => Promise<T>): Promise<T> {
    const site = new Site(await Provider.start());
    try {
      return await use(site);
    } finally {
      site.client.stop();
      site.provider.stop();
      await Promise.all(site.gateways.map((gateway) => gateway.stop()));
    }
  }

  async gateway(pipelines: Pipelines, more: More = {}): Promise<Entrance> {
    const config = gatewayConfig(this.provider.url, pipelines);
    const gateway = await Gateway.start({ settings: quiet, ...more, gateway: config });
    this.gateways.push(gateway);
    return new Entrance(gateway);
  }
}

/** How a gateway is asked. */
export class Entrance {
  readonly pid: number | undefined;
  readonly #url: string;

  constructor({ url, child }: Gateway) {
    this.#url = url;
    this.pid = child.pid;
  }

  url(pipeline: string, query: string): string {
    return `${this.#url}/${pipeline}/v1/chat/completions${query}`;
  }

  /** A request that is the same every time. Its answer is expected to come from the cache. */
  hit(pipeline: string, requestBytes: number, wanted: Wanted): Target {
    const request = question(requestBytes, { stream: wanted.stream, user: 'one and same' });
    const url = this.url(pipeline, queryOf(wanted));
    return { url, request, body: answer(wanted), cache: 'HIT (exact)' };
  }

  /** A request that is another one every time. Its answer is expected to come from the provider. */
  miss(pipeline: string, requestBytes: number, wanted: Wanted): Target {
    const request = question(requestBytes, { stream: wanted.stream });
    const url = this.url(pipeline, queryOf(wanted));
    return { url, request, body: answer(wanted), cache: null };
  }
}

/** Asks once, so that the answer is stored. */
export async function store({ url, request, cache }: Target): Promise<void> {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer sk-bench' };
  const ask = async () => {
    const response = await fetch(url, { method: 'POST', headers, body: request });
    await response.arrayBuffer();
    return response.headers.get('x-cache');
  };
  // A store in Redis takes it behind the answer.
  for (let time = 0; time < 100; time++) {
    if ((await ask()) === cache) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${url}: no answer was stored`);
}
