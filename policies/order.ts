import { isObject } from './shared/json.ts';
import { conditionsIn, type Pipeline, type Step } from './pipelines.ts';

const ours = new Set(['llm-usage', 'llm-cache']);
const auth = new Set(['key-auth', 'basic-auth', 'jwt', 'oauth2', 'oauth2-introspect']);
const ends = new Set(['proxy', 'terminate']);

/** What in the order of a pipeline's policies is likely a mistake, a sentence each. */
export function orderWarnings(pipeline: Pipeline): string[] {
  const { steps } = pipeline;
  const cacheAt = steps.findIndex((step) => step.policy === 'llm-cache');
  const warnings: string[] = [];
  const warn = (text: string) => warnings.push(`pipeline "${pipeline.name}": ${text}`);

  steps.forEach((step, at) => {
    const behindCache = cacheAt >= 0 && at > cacheAt;
    if (step.policy === 'llm-usage' && behindCache) {
      warn('llm-usage stands behind llm-cache, so hits are not recorded; put it before');
    }
    if (auth.has(step.policy) && behindCache) {
      warn(
        `${step.policy} stands behind llm-cache, so hits are answered without it; put it before`,
      );
    }
    if (step.policy === 'cors' && behindCache) {
      warn('cors stands behind llm-cache, so hits are answered without its headers; put it before');
    }
    if (ours.has(step.policy)) {
      const end = steps.slice(0, at).find(endsPipeline);
      if (end !== undefined) {
        warn(`${step.policy} stands behind ${end.policy}, where it never runs; put it before`);
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
          `request-transformer rewrites the body behind ${before.policy}, which does not see the change; put it before`,
        );
      }
    }
  });
  return [...new Set(warnings)];
}

function rewritesBody(step: Step): boolean {
  return (
    step.policy === 'request-transformer' &&
    isObject(step.action) &&
    step.action['body'] !== undefined
  );
}

/** The gateway takes a condition that is null for none. */
function endsPipeline(step: Step): boolean {
  return ends.has(step.policy) && (step.condition === undefined || step.condition === null);
}
