import { isObject, type JsonObject } from '../shared/json/json.ts';

/**
 * Whether the upstream receives the client's `Host`, unchanged or in `X-Forwarded-Host`, according to
 * the actions of a pipeline's proxy policies: `changeOrigin` replaces it, and `xfwd` forwards it. True
 * without a proxy policy, because another policy may forward it.
 */
export function forwardsHost(proxies: readonly unknown[], serviceEndpoints: unknown): boolean {
  if (proxies.length === 0) return true;
  return proxies.some((action) => {
    const { changeOrigin, xfwd } = proxyOptions(objectOr(action), serviceEndpoints);
    // The gateway also accepts booleans as text.
    return isOff(changeOrigin) || !isOff(xfwd);
  });
}

function isOff(option: unknown): boolean {
  return option === 'false' || !option;
}

/** Merges the options in the order of the proxy policy. */
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
