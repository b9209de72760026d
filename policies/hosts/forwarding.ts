import { isObject, type JsonObject } from '../shared/json/json.ts';

/**
 * Whether the upstream gets the `Host` that the client sent, as it is or in `X-Forwarded-Host`, by
 * the actions of a pipeline's proxy policies: `changeOrigin` replaces it, and `xfwd` passes it on.
 * Where another policy calls the upstream it may get it, for all that is known.
 */
export function forwardsHost(proxies: readonly unknown[], serviceEndpoints: unknown): boolean {
  if (proxies.length === 0) return true;
  return proxies.some((action) => {
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
