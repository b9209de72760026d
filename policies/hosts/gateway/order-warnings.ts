import { isObject } from '../../shared/json/json.ts';
import { conditionsIn, gatewayPolicies, type Pipeline, type Step } from '../pipelines.ts';
import { covers } from './condition-overlap.ts';

const ours = new Set(['llm-usage', 'llm-cache']);
const auth = new Set(['key-auth', 'basic-auth', 'jwt', 'oauth2', 'oauth2-introspect']);
const endings = new Set(['proxy', 'terminate']);
/** The gateway's policies that do not authenticate. */
const nonAuthenticating = new Set([...gatewayPolicies].filter((policy) => !auth.has(policy)));

/** Returns a sentence for each likely mistake in the order of a pipeline's policies. */
export function orderWarnings(pipeline: Pipeline): string[] {
  const { steps } = pipeline;
  const cacheAt = steps.findIndex((step) => step.policy === 'llm-cache');
  const warnings: string[] = [];
  const warn = (text: string) => warnings.push(`pipeline "${pipeline.name}": ${text}`);

  steps.forEach((step, at) => {
    const behindCache = cacheAt >= 0 && at > cacheAt;
    if (step.policy === 'llm-usage' && behindCache) {
      warn('llm-usage stands after llm-cache, so hits are not recorded; put it before llm-cache');
    }
    if (auth.has(step.policy) && behindCache) {
      warn(
        `${step.policy} stands after llm-cache, so hits are answered without it; put it before llm-cache`,
      );
    }
    if (step.policy === 'cors' && behindCache) {
      warn(
        'cors stands after llm-cache, so hits are answered without its headers; put it before llm-cache',
      );
    }
    if (ours.has(step.policy)) {
      const earlier = steps
        .slice(0, at)
        .some(
          ({ policy, condition }) => policy === step.policy && covers(condition, step.condition),
        );
      if (earlier) {
        warn(
          `an ${step.policy} step never runs, because an earlier one matches every request that it matches; put the narrower condition first`,
        );
      }
      const end = steps.slice(0, at).find(endsPipeline);
      if (end !== undefined) {
        warn(
          `${step.policy} stands after ${end.policy}, where it never runs; put it before ${end.policy}`,
        );
      }
      if (conditionsIn(step.condition).some(({ name }) => name === 'json-schema')) {
        warn(
          `the json-schema condition on ${step.policy} keeps it from ever running (the gateway mounts such a policy behind the proxy); use llm-request`,
        );
      }
    }
    if (rewritesBody(step)) {
      const before = steps.slice(0, at).find((earlier) => ours.has(earlier.policy));
      if (before !== undefined) {
        warn(
          `request-transformer rewrites the body after ${before.policy}, which does not see the change; put it before ${before.policy}`,
        );
      }
    }
  });
  if (cacheAt >= 0 && !steps.some(({ policy }) => policy === 'llm-usage')) {
    warn(
      'llm-cache stands without llm-usage, so neither hits nor savings are recorded; put llm-usage before llm-cache',
    );
  }
  const isAnonymous = steps.slice(0, cacheAt).every(({ policy }) => !mayAuthenticate(policy));
  if (isAnonymous && steps.some(sharesAnonymously)) {
    warn(
      'no policy authenticates before llm-cache, so callers without a credential share one scope and get one another’s answers; put one before (key-auth, jwt, …), or say who may share with scope: credential or scope: shared',
    );
  }
  return [...new Set(warnings)];
}

/** A policy of another plugin may authenticate; the gateway's other policies do not. */
function mayAuthenticate(policy: string): boolean {
  return !ours.has(policy) && !nonAuthenticating.has(policy);
}

/** Whether anonymous callers would share answers. A condition may exclude them. */
function sharesAnonymously({ policy, action, condition }: Step): boolean {
  if (policy !== 'llm-cache' || isAuthenticated(condition)) return false;
  return !isObject(action) || action['scope'] === undefined || action['scope'] === 'auto';
}

function isAuthenticated(condition: unknown): boolean {
  if (!isObject(condition)) return false;
  const { name, conditions } = condition;
  if (name === 'authenticated') return true;
  return name === 'allOf' && Array.isArray(conditions) && conditions.some(isAuthenticated);
}

function rewritesBody(step: Step): boolean {
  return (
    step.policy === 'request-transformer' &&
    isObject(step.action) &&
    step.action['body'] !== undefined
  );
}

/** Whether a step ends the pipeline for every request. The gateway treats a null condition as none. */
function endsPipeline(step: Step): boolean {
  return endings.has(step.policy) && (step.condition === undefined || step.condition === null);
}
