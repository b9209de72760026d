import { Minimatch } from 'minimatch';
import { llmRequestSchema, type LlmRequestSettings } from '../schemas/conditions.ts';
import { pathOf, protocolOf } from '../policies/hosts/node/request-target.ts';
import type { Condition } from '../policies/hosts/gateway/types.ts';

/** The request is one that the cache serves, of one of `protocols` and on one of `paths`. */
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

/** The gateway gives a condition its configuration at every request, always the same object. */
function globs(paths: readonly string[]): readonly Minimatch[] {
  let made = compiled.get(paths);
  if (made === undefined) {
    made = paths.map((path) => new Minimatch(path, { dot: true, nocomment: true, nonegate: true }));
    compiled.set(paths, made);
  }
  return made;
}
