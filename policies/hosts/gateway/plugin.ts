import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { llmNoCache } from '../../../conditions/llm-no-cache.ts';
import { llmRequest } from '../../../conditions/llm-request.ts';
import { ConfigurationError } from '../../../schemas/validate.ts';
import { adminRoutes } from '../../admin/routes.ts';
import { budgetWarnings } from '../budget-warnings.ts';
import { gatewayConsumers } from './consumers.ts';
import { llmCachePolicy, llmUsagePolicy } from './policies.ts';
import { gatewayConfiguration, settingsPlace } from '../configuration.ts';
import { orderWarnings } from './order-warnings.ts';
import { secretWarnings, settingsWarnings, stepWarnings } from '../settings-warnings.ts';
import { readPipelines } from '../pipelines.ts';
import { Runtime } from '../runtime.ts';
import type { PluginContext } from './types.ts';
import { tryoutOf } from './tryout.ts';
import { flushAtExit } from './shutdown.ts';
import { exitWithMessage } from './startup-error.ts';
import type { Log } from '../../shared/log.ts';

let runtime: Runtime | null = null;

/**
 * Initializes the plugin. The gateway calls it at its start and at every reload of its configuration.
 * An invalid configuration stops the start; at a reload the old one stays in use. `root` is the
 * package's folder.
 */
export function init(context: PluginContext, root: string): void {
  const current = (runtime ??= createRuntime(context.logger));
  context.registerPolicy(llmUsagePolicy(() => current.services()));
  context.registerPolicy(llmCachePolicy(() => current.services()));
  context.registerCondition(llmRequest);
  context.registerCondition(llmNoCache);
  // The gateway builds its admin app once, so at a reload it ignores these routes.
  context.registerAdminRoute(
    adminRoutes({
      current: () => current.admin(),
      pageFolder: join(root, 'dist/policies/admin/page'),
      version: versionIn(root),
      faults: current.faults,
      hosts: () => current.adminHosts(),
    }),
  );
  try {
    const pipelines = readPipelines(context.config.gatewayConfig);
    const configuration = gatewayConfiguration(context, pipelines);
    current.configure({
      ...configuration,
      consumers: gatewayConsumers(context.services),
      tryout: tryoutOf(context.config.gatewayConfig, pipelines),
    });
    const warnings = [
      ...settingsWarnings(configuration.settings, settingsPlace),
      ...secretWarnings(configuration.secret, configuration.settings, settingsPlace),
      ...budgetWarnings(configuration.settings, settingsPlace, pipelines),
      ...pipelines.flatMap(stepWarnings),
      ...pipelines.flatMap(orderWarnings),
    ];
    for (const warning of warnings) context.logger.warn(warning);
  } catch (error) {
    // The gateway would only log an error thrown from here, and start without the plugin.
    context.registerGatewayRoute(() => {
      if (error instanceof ConfigurationError) exitWithMessage(error);
      throw error;
    });
  }
}

function createRuntime(log: Log): Runtime {
  const created = new Runtime(log);
  flushAtExit(
    () => created.end(),
    () => created.flushSync(),
  );
  return created;
}

function versionIn(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly version: string;
  };
  return version;
}
