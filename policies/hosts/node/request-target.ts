import { findProtocol } from '../../shared/protocols/index.ts';
import type { Protocol } from '../../shared/protocols/protocol.ts';
import type { AppRequest } from './app-request.ts';

/** The API of a request, by method and original path; null if the cache does not serve it. */
export function protocolOf(req: Pick<AppRequest, 'method' | 'originalUrl'>): Protocol | null {
  return req.method === 'POST' ? findProtocol(pathOf(req.originalUrl)) : null;
}

/** The path in a request's target, without its query. */
export function pathOf(target: string): string {
  const start = pathStart(target);
  const end = target.indexOf('?', start);
  return (end < 0 ? target.slice(start) : target.slice(start, end)) || '/';
}

/** RFC 9112, section 3.2.2: the absolute form has an authority, maybe with a password. */
function pathStart(target: string): number {
  if (target.startsWith('/')) return 0;
  const authority = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(target);
  return authority?.[0].length ?? 0;
}

/** The query in a request's target, with its question mark; empty without one. */
export function queryOf(target: string): string {
  const start = target.indexOf('?');
  return start < 0 ? '' : target.slice(start);
}
