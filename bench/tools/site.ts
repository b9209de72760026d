import { Gateway, type GatewayOptions } from '../../test/support/gateway.ts';
import { gatewayConfig } from '../../test/support/pipelines.ts';
import { Client } from './client.ts';
import { answer, queryOf, question, type Wanted } from './messages.ts';
import type { Target } from './orders.ts';
import { Provider } from './provider.ts';

/** The two policies with default settings, as in the README. */
export const plugin = [{ 'llm-usage': {} }, { 'llm-cache': {} }];

/** No log line per request: it is the logger's cost, not the cache's. */
export const quiet = { usage: { sinks: [] } };

type Pipelines = Readonly<Record<string, readonly object[]>>;
type More = Partial<Omit<GatewayOptions, 'gateway'>>;

/** A provider, gateways in front of it and a client, each in its own process. */
export class Site {
  readonly client = new Client();
  readonly provider: Provider;
  readonly gateways: Gateway[] = [];

  private constructor(provider: Provider) {
    this.provider = provider;
  }

  /** Starts the provider and the client, runs `use`, and stops all processes, even after a failure. */
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

/** Builds requests to one gateway. */
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

  /** Returns a request that is identical every time, so that the cache must answer. */
  hit(pipeline: string, requestBytes: number, wanted: Wanted): Target {
    const request = question(requestBytes, { stream: wanted.stream, user: 'one and same' });
    const url = this.url(pipeline, queryOf(wanted));
    return { url, request, body: answer(wanted), cache: 'HIT (exact)' };
  }

  /** Returns a request that differs every time, so that the provider must answer. */
  miss(pipeline: string, requestBytes: number, wanted: Wanted): Target {
    const request = question(requestBytes, { stream: wanted.stream });
    const url = this.url(pipeline, queryOf(wanted));
    return { url, request, body: answer(wanted), cache: null };
  }
}

/** Sends the request until the cache answers. Throws if no answer is stored. */
export async function store({ url, request, cache }: Target): Promise<void> {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer sk-bench' };
  const ask = async () => {
    const response = await fetch(url, { method: 'POST', headers, body: request });
    await response.arrayBuffer();
    return response.headers.get('x-cache');
  };
  // A Redis store writes after the answer was sent.
  for (let time = 0; time < 100; time++) {
    if ((await ask()) === cache) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${url}: no answer was stored`);
}
