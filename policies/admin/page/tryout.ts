import { html, type TemplateResult } from 'lit-html';
import type { Tryout } from './answers.ts';

const body = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}';

/** Shown when no request has come yet: an example request to send twice. */
export function emptyState(tryout: Tryout | null, days: string): TemplateResult {
  return html`<div class="card first">
    <p><strong>No request in ${days}.</strong></p>
    <p>
      Send one twice: the provider answers the first, the cache the second, and this page shows what
      that saved.
    </p>
    <pre tabindex="0" aria-label="A request to try">${curl(tryout)}</pre>
  </div>`;
}

function curl(tryout: Tryout | null): string {
  const { hostname } = location;
  const { port = null, path = '/v1/chat/completions', needsCredential = true } = tryout ?? {};
  return [
    `curl http://${hostname}:${port ?? 'PORT'}${path} \\`,
    ...(needsCredential ? ["  -H 'Authorization: …' \\"] : []),
    "  -H 'Content-Type: application/json' \\",
    `  -d '${body}'`,
  ].join('\n');
}
