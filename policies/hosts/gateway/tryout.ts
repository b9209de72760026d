import type { Tryout } from '../../admin/services.ts';
import { isObject, type JsonObject } from '../../shared/json/json.ts';
import type { Pipeline } from '../pipelines.ts';

const chatPath = '/v1/chat/completions';
const authentication = /^(key-auth|basic-auth|jwt|oauth2|oauth2-introspect)$/;

/** Returns an example request that would reach the cache; null if no pipeline has a cache. */
export function tryoutOf(gatewayConfig: JsonObject, pipelines: readonly Pipeline[]): Tryout | null {
  const pipeline = pipelines.find(({ steps }) =>
    steps.some(({ policy }) => policy === 'llm-cache'),
  );
  const [apiEndpoint] = pipeline?.apiEndpoints ?? [];
  if (pipeline === undefined || apiEndpoint === undefined) return null;
  const { http, apiEndpoints } = gatewayConfig;
  const port = isObject(http) ? Number(http['port']) : NaN;
  const endpoint = isObject(apiEndpoints) ? apiEndpoints[apiEndpoint] : undefined;
  const paths = isObject(endpoint) ? [endpoint['paths'] ?? endpoint['path']].flat() : [];
  return {
    port: Number.isInteger(port) && port > 0 ? port : null,
    path: pathFor(paths.filter((path) => typeof path === 'string')),
    needsCredential: pipeline.steps.some(({ policy }) => authentication.test(policy)),
  };
}

function pathFor(paths: readonly string[]): string {
  const exact = paths.find((path) => path.endsWith('/chat/completions') && !/[*(:]/.test(path));
  if (exact !== undefined) return exact;
  const prefix = paths.map((path) => /^((?:\/[\w.-]+)*)\/?\*$/.exec(path)?.[1]).find(Boolean) ?? '';
  return prefix.endsWith('/v1') ? `${prefix.slice(0, -3)}${chatPath}` : `${prefix}${chatPath}`;
}
