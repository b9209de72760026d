import { minimatch } from 'minimatch';
import { llmNoCache } from '../../conditions/llm-no-cache.ts';
import { llmRequest } from '../../conditions/llm-request.ts';
import { isObject, type JsonObject } from '../shared/json/json.ts';
import type { GatewayRequest } from '../hosts/gateway/types.ts';

/** A hypothetical request as a condition sees it. */
export interface SimulatedRequest {
  readonly request: Pick<GatewayRequest, 'method' | 'url' | 'originalUrl' | 'headers'>;
  readonly isAuthenticated: boolean;
}

/** Whether a step's condition holds; null if only a real request could tell. */
export function holds(condition: unknown, simulated: SimulatedRequest): boolean | null {
  if (!isObject(condition)) return true;
  const { request, isAuthenticated } = simulated;
  const inner = () => partsOf(condition).map((part) => holds(part, simulated));
  switch (condition['name']) {
    case 'llm-request':
      return llmRequest.handler(request as GatewayRequest, condition);
    case 'llm-no-cache':
      return llmNoCache.handler(request as GatewayRequest, condition);
    case 'always':
      return true;
    case 'never':
      return false;
    case 'allOf':
      return inner().reduce(both, true);
    case 'oneOf':
      return inner().reduce(either, false);
    case 'not': {
      const verdict = holds(condition['condition'], simulated);
      return verdict === null ? null : !verdict;
    }
    case 'pathExact':
      return request.url === condition['path'];
    case 'pathMatch':
      return new RegExp(String(condition['pattern'])).test(request.url ?? '');
    case 'method':
      return [condition['methods']].flat().includes(request.method);
    case 'hostMatch':
      return minimatch(request.headers.host ?? '', String(condition['pattern']));
    case 'authenticated':
      return isAuthenticated;
    case 'anonymous':
      return !isAuthenticated;
    default:
      return null;
  }
}

function partsOf(condition: JsonObject): readonly unknown[] {
  const { conditions } = condition;
  return Array.isArray(conditions) ? conditions : [];
}

function both(one: boolean | null, other: boolean | null): boolean | null {
  if (one === false || other === false) return false;
  return one === null || other === null ? null : true;
}

function either(one: boolean | null, other: boolean | null): boolean | null {
  if (one === true || other === true) return true;
  return one === null || other === null ? null : false;
}
