import type { init } from './dist/policies/hosts/gateway/plugin.js';

/** What Express Gateway loads. `init` takes the gateway's own plugin context. */
declare const manifest: {
  readonly name: 'llm-cache';
  readonly version: string;
  readonly policies: readonly ['llm-usage', 'llm-cache'];
  readonly schema: { readonly $id: string; readonly type: 'object' };
  readonly init: (context: Parameters<typeof init>[0]) => void;
};

export = manifest;
