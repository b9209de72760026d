import { suggestion } from '../../schemas/suggestion.ts';
import { ConfigurationError } from '../../schemas/validate.ts';
import type { Pipeline } from './pipelines.ts';

const ours = ['llm-usage', 'llm-cache'] as const;

/**
 * Throws a ConfigurationError if a pipeline uses one of the plugin's policies that `policies` does not
 * list, or misspells one. The gateway's own message is hidden behind a stack trace.
 */
export function checkPolicyNames(pipelines: readonly Pipeline[], listed: unknown): void {
  const policies: readonly unknown[] = Array.isArray(listed) ? listed : [];
  for (const { pipeline, policy } of pipelines.flatMap(({ steps }) => steps)) {
    if (policies.includes(policy)) continue;
    const where = `gateway.config.yml, pipeline "${pipeline}"`;
    if (ours.some((name) => name === policy)) {
      throw new ConfigurationError(
        `${where}: "policies" at the top of the file does not list ${policy}; add it there, as in policies: [llm-usage, llm-cache, proxy]`,
      );
    }
    const meant = suggestion(policy, ours);
    if (meant === '') continue;
    throw new ConfigurationError(
      `${where}: there is no policy ${JSON.stringify(policy)} in "policies"${meant}`,
    );
  }
}
