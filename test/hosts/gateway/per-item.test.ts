import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { describePerItem } from '../../support/per-item-contract.ts';
import { gatewayConfig } from '../../support/pipelines.ts';
import { Upstream } from '../../support/upstream.ts';

const perItem = { 'llm-cache': { action: { perItem: true } } };
/** Between the two, so that the body has been offered before the cache replaces it. */
const limit = { 'rate-limit': { action: { max: 10_000, windowMs: 60_000, delayMs: 0 } } };

for (const [where, steps] of Object.entries({
  'through the gateway': [{ 'llm-usage': {} }, perItem],
  'through the gateway, with a policy between the two': [{ 'llm-usage': {} }, limit, perItem],
})) {
  const running: { gateway?: Gateway; upstream?: Upstream } = {};

  describePerItem(where, async () => {
    const upstream = await Upstream.start();
    const gateway = await Gateway.start({ gateway: gatewayConfig(upstream.url, { api: steps }) });
    running.gateway = gateway;
    running.upstream = upstream;
    return {
      upstream,
      ask: (body, headers) => post(`${gateway.url}/api/v1/embeddings`, body, { headers }),
      records: (model, count) => gateway.recorded(model, count),
    };
  });
  after(async () => {
    await running.gateway?.stop();
    await running.upstream?.close();
  });
}
