import { forwardsHost } from './forwarding.ts';
import { isObject, type JsonObject } from '../shared/json/json.ts';

/** One step of a pipeline, as the operator wrote it. */
export interface Step {
  readonly pipeline: string;
  readonly policy: string;
  readonly action: unknown;
  readonly condition: unknown;
  /** The names of other members of the step, which the gateway ignores. */
  readonly strays?: readonly string[];
}

export interface Pipeline {
  readonly name: string;
  readonly apiEndpoints: readonly string[];
  readonly steps: readonly Step[];
  /** Whether the upstream receives the client's `Host`. */
  readonly forwardsHost: boolean;
}

/** Returns the pipelines of `gateway.config.yml`, in every spelling that the gateway accepts. */
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
  // A policy with only a name is one step with default parameters.
  return (steps.length === 0 ? [{}] : steps).map((step) => ({
    pipeline,
    policy,
    action: isObject(step) ? step['action'] : undefined,
    condition: isObject(step) ? step['condition'] : undefined,
    ...straysOf(step),
  }));
}

/** The members of a step other than `action` and `condition`. */
function straysOf(step: unknown): Pick<Step, 'strays'> {
  const names = isObject(step) ? Object.keys(step) : [String(step)];
  const strays = names.filter((name) => name !== 'action' && name !== 'condition');
  return strays.length > 0 ? { strays } : {};
}

/** The gateway's own policies. After one has passed a request on, it never answers that request. */
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
 * Returns the policy that directly follows each step of `policy`; null if that varies or has a
 * condition. Returns `proxy` only if the proxy alone can answer: no policy of another plugin stands
 * before the step.
 */
export function nextPolicy({ steps }: Pipeline, policy: string): string | null {
  const next = new Set(
    steps.flatMap((step, at) => (step.policy === policy ? [policyAfter(steps, at)] : [])),
  );
  return next.size === 1 ? ([...next][0] ?? null) : null;
}

function policyAfter(steps: readonly Step[], at: number): string | null {
  const after = steps[at + 1];
  if (after === undefined || (after.condition ?? null) !== null) return null;
  const mayAnswerLate = steps
    .slice(0, at)
    .some(({ policy }) => !gatewayPolicies.has(policy) && !ours.has(policy));
  return after.policy === 'proxy' && mayAnswerLate ? null : after.policy;
}

function listed(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

/** Returns `condition` and all conditions inside it (in `allOf`, `oneOf` and `not`). */
export function conditionsIn(condition: unknown): JsonObject[] {
  if (!isObject(condition)) return [];
  const inner = [condition['condition'], ...listed(condition['conditions'])];
  return [condition, ...inner.flatMap(conditionsIn)];
}
