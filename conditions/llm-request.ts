import { Minimatch } from 'minimatch';
import { llmRequestSchema, type LlmRequestSettings } from '../schemas/conditions.ts';
import { pathOf, protocolOf } from '../policies/hosts/node/request-target.ts';
import type { Condition } from '../policies/hosts/gateway/types.ts';

/** True if the cache serves the request, by one of `protocols` and on one of `paths`. */
export const llmRequest: Condition = {
  name: 'llm-request',
  schema: llmRequestSchema,
  handler: (req, config) => {
    const { protocols, paths } = config as LlmRequestSettings;
    const protocol = protocolOf(req);
    if (protocol === null || (protocols && !protocols.includes(protocol.name))) return false;
    return paths === undefined || globs(paths).some((glob) => glob.match(pathOf(req.originalUrl)));
  },
};

const compiled = new WeakMap<readonly string[], readonly Minimatch[]>();

/** Compiles the globs once: the gateway passes the same configuration object with every request. */
function globs(paths: readonly string[]): readonly Minimatch[] {
  let compiledGlobs = compiled.get(paths);
  if (compiledGlobs === undefined) {
    compiledGlobs = paths.map(
      (path) => new Minimatch(path, { dot: true, nocomment: true, nonegate: true }),
    );
    compiled.set(paths, compiledGlobs);
  }
  return compiledGlobs;
}
