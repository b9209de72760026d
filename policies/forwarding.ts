import type { Step } from './pipelines.ts';
import { isObject, type JsonObject } from './shared/json.ts';

/**
 * Whether the upstream gets the `Host` that the client sent, as it is or in `X-Forwarded-Host`: by
 * the options of the proxy policy, of which `changeOrigin` replaces it and `xfwd` passes it on. So it
 * is where something else than that policy asks the upstream, for all that is known.
 */
export function forwardsHost(steps: readonly Step[], serviceEndpoints: unknown): boolean {
  const proxies = steps.filter(({ policy }) => policy === 'proxy');
  if (proxies.length === 0) return true;
  return proxies.some(({ action }) => {
    const { changeOrigin, xfwd } = proxyOptions(objectOr(action), serviceEndpoints);
    // The gateway takes these texts for what they say.
    return isOff(changeOrigin) || !isOff(xfwd);
  });
}

function isOff(option: unknown): boolean {
  return option === 'false' || !option;
}

/** As the proxy policy puts them together. */
function proxyOptions(action: JsonObject, serviceEndpoints: unknown): JsonObject {
  const endpoint = objectOr(objectOr(serviceEndpoints)[String(action['serviceEndpoint'])]);
  return {
    changeOrigin: true,
    ...action,
    ...objectOr(endpoint['proxyOptions']),
    ...objectOr(action['proxyOptions']),
  };
}

function objectOr(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}
