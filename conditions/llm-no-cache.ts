import { asksForFresh, readControls } from '../policies/llm-cache/client-controls.ts';
import type { Condition } from '../policies/hosts/gateway/types.ts';
import { llmNoCacheSchema } from '../schemas/conditions.ts';

/** True if the client asks for a fresh answer. */
export const llmNoCache: Condition = {
  name: 'llm-no-cache',
  schema: llmNoCacheSchema,
  // The gateway recognizes a condition by its two parameters.
  handler: (req, _config) =>
    asksForFresh(
      readControls((name) => {
        const value = req.headers[name];
        return Array.isArray(value) ? value.join(', ') : value;
      }),
    ),
};
