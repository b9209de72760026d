import { forwardsHost } from './forwarding.ts';
import { isObject, type JsonObject } from '../shared/json/json.ts';

/** One step of a pipeline, as the operator wrote it. */
export interface Step {
  readonly pipeline: string;
  readonly policy: string;
  readonly action: unknown;
  readonly condition: unknown;
  /** What else the operator wrote there; the gateway does not look at it. */
  readonly strays?: readonly string[];
}

export interface Pipeline {
  readonly name: string;
  readonly apiEndpoints: readonly string[];
  readonly steps: readonly Step[];
  /** Whether the upstream gets the `Host` that the client sent. */
  readonly forwardsHost: boolean;
}

/** The pipelines in `gateway.config.yml`, in every spelling that the gateway takes. */
export function readPipelines(gatewayConfig: JsonObject): readonly Pipeline[] {
  const pipelines = gatewayConfig['pipelines'] ?? listed(gatewayConfig['pipeline']);
  if (typeof pipelines !== 'object' || pipelines === null) return [];
  return Object.entries(pipelines)
    .filter((pair): pair is [string, JsonObject] => isObject(pair[1]))
    .map(([name, pipeline]) => {
      const entries = listed(pipeline['policies'] ?? pipeline['policy']);
      const steps = entries.flatMap((entry) => stepsOf(name, entry));
      const proxies = steps.filter(({ policy }) => policy === 'proxy');
      return {
        name,
        apiEndpoints: listed(pipeline['apiEndpoints'] ?? pipeline['apiEndpoint']).map(String),
        steps,
        forwardsHost: forwardsHost(
          proxies.map(({ action }) => action),
          gatewayConfig['serviceEndpoints'],
        ),
      };
    });
}

function stepsOf(pipeline: string, entry: unknown): Step[] {
  if (!isObject(entry)) return [];
  const [policy] = Object.keys(entry);
  if (policy === undefined) return [];
  const steps = listed(entry[policy]);
  // A policy that is named and nothing more is one step with its defaults.
  return (steps.length === 0 ? [{}] : steps).map((step) => ({
    pipeline,
    policy,
    action: isObject(step) ? step['action'] : undefined,
    condition: isObject(step) ? step['condition'] : undefined,
    ...straysOf(step),
  }));
}

/** What stands in a step and is none of the gateway's two parts of one. */
function straysOf(step: unknown): Pick<Step, 'strays'> {
  const names = isObject(step) ? Object.keys(step) : [String(step)];
  const strays = names.filter((name) => name !== 'action' && name !== 'condition');
  return strays.length > 0 ? { strays } : {};
}

/** The gateway's own policies. Once a request has passed one of them, it does not answer that request any more. */
export const gatewayPolicies: ReadonlySet<string> = new Set([
  'basic-auth',
  'cors',
  'expression',
  'headers',
  'jwt',
  'key-auth',
  'log',
  'oauth2',
  'oauth2-introspect',
  'proxy',
  'rate-limit',
  'request-transformer',
  'response-transformer',
  'terminate',
]);

const ours = new Set(['llm-usage', 'llm-cache']);

/**
 * The policy that a request which goes on from `policy` comes to next, with no other between; null
 * where that depends. Of the proxy it is told only where the proxy alone answers: no policy of
 * another plugin stands before it.
 */
export function nextPolicy({ steps }: Pipeline, policy: string): string | null {
  const next = new Set(
    steps.flatMap((step, at) => (step.policy === policy ? [policyBehind(steps, at)] : [])),
  );
  return next.size === 1 ? ([...next][0] ?? null) : null;
}

function policyBehind(steps: readonly Step[], at: number): string | null {
  const behind = steps[at + 1];
  if (behind === undefined || (behind.condition ?? null) !== null) return null;
  const mayAnswerLate = steps
    .slice(0, at)
    .some(({ policy }) => !gatewayPolicies.has(policy) && !ours.has(policy));
  return behind.policy === 'proxy' && mayAnswerLate ? null : behind.policy;
}

function listed(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

/** `condition` and all that it is made of (`allOf`, `oneOf`, `not`). */
export function conditionsIn(condition: unknown): JsonObject[] {
  if (!isObject(condition)) return [];
  const inner = [condition['condition'], ...listed(condition['conditions'])];
  return [condition, ...inner.flatMap(conditionsIn)];
}
