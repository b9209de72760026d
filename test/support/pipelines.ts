/**
 * Creates a gateway configuration with a pipeline for each name, at `/NAME/*`, that proxies to
 * `upstreamUrl`.
 */
export function gatewayConfig(
  upstreamUrl: string,
  pipelines: Readonly<Record<string, readonly object[]>>,
): object {
  const proxy = { proxy: { action: { serviceEndpoint: 'upstream' } } };
  return {
    apiEndpoints: Object.fromEntries(
      Object.keys(pipelines).map((name) => [name, { paths: [`/${name}/*`] }]),
    ),
    serviceEndpoints: { upstream: { url: upstreamUrl } },
    policies: [
      'key-auth',
      'jwt',
      'rate-limit',
      'request-transformer',
      'response-transformer',
      'terminate',
      'llm-usage',
      'llm-cache',
      'proxy',
    ],
    pipelines: Object.fromEntries(
      Object.entries(pipelines).map(([name, policies]) => [
        name,
        { apiEndpoints: [name], policies: [...policies, proxy] },
      ]),
    ),
  };
}

/** Returns the steps of both policies; `action` is that of `llm-cache`. */
export function both(action: object = {}): object[] {
  return [{ 'llm-usage': {} }, { 'llm-cache': { action: { debugHeaders: true, ...action } } }];
}
