import { expect } from 'chai';
import { admin } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

interface Eviction {
  readonly ranking: string;
  readonly missedHits: number;
  readonly missedUsd: number;
}

describe('A gateway with a full memory store', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  before(async () => {
    upstream = await Upstream.start();
    upstream.answer(json(answers.chat.json));
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, { openai: both({ store: 'small' }) }),
      settings: {
        stores: { small: { type: 'memory', maxBytes: 20_000 } },
        usage: { prices: { 'gpt-4o': { input: 1000, cachedInput: 1000, output: 1000 } } },
      },
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  const ask = (content: string) =>
    post(`${gateway.url}/openai/v1/chat/completions`, {
      model: 'gpt-4o',
      messages: [{ role: 'user', content }],
    });

  it("The gateway tells what evictions have cost at the operator's prices", async () => {
    for (let at = 0; at < 60; at++) await ask(`question ${at}`);
    const missed = [];
    for (let at = 0; at < 60; at++) {
      const { headers } = await ask(`question ${at}`);
      if (String(headers['x-cache']).startsWith('HIT')) continue;
      missed.push(at);
    }
    const { stores } = (await admin(gateway, '/stats')).json as unknown as {
      stores: { small: { evictions: number; bytes: number; eviction: Eviction } };
    };
    const { evictions, bytes, eviction } = stores.small;
    expect(evictions).to.be.above(40);
    expect(bytes).to.be.at.most(20_000);
    expect(eviction.ranking).to.equal('worth');
    expect(eviction.missedHits).to.be.within(1, missed.length);
    const { prompt_tokens: input, completion_tokens: output } = (
      JSON.parse(answers.chat.json) as { usage: Record<string, number> }
    ).usage;
    const each = ((input ?? 0) + (output ?? 0)) / 1000;
    expect(eviction.missedUsd / eviction.missedHits / each).to.be.within(0.99, 1.01);
    const metrics = (await admin(gateway, '/metrics')).text;
    expect(metrics).to.contain(
      `llm_cache_eviction_missed_hits_total{store="small"} ${eviction.missedHits}`,
    );
    expect(metrics).to.contain('llm_cache_twice_memory_saved_usd{store="memory"} 0');
  });
});
