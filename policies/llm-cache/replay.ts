import type { ServerResponse } from 'node:http';
import type { Protocol } from '../shared/protocols/protocol.ts';
import { cacheStatus } from './cache-status.ts';
import type { Hit, Unavailable } from './engine.ts';

/** Answers with a stored entry, byte for byte. */
export function replay(res: ServerResponse, hit: Hit): void {
  const { entry } = hit;
  res.statusCode = 200;
  for (const [name, value] of Object.entries(entry.headers)) res.setHeader(name, value);
  res.setHeader('X-Cache', 'HIT (exact)');
  res.setHeader('Cache-Status', cacheStatus(hit));
  res.setHeader('Age', hit.age);
  res.setHeader('Content-Length', entry.body.length);
  // A Buffer, in a write of its own: wrappers of earlier policies may know nothing else.
  res.write(Buffer.from(entry.body.buffer, entry.body.byteOffset, entry.body.byteLength));
  res.end();
}

/** Answers 504 in the protocol's own shape of an error. */
export function answerUnavailable(
  res: ServerResponse,
  decision: Unavailable,
  protocol: Protocol,
): void {
  const error = {
    message: 'Nothing stored answers this request, and it asks for a stored answer only.',
    type: 'gateway_timeout',
    code: 'only_if_cached',
  };
  const body = Buffer.from(
    JSON.stringify(protocol.name === 'messages' ? { type: 'error', error } : { error }),
  );
  res.statusCode = 504;
  res.setHeader('Content-Type', 'application/json');
  res.setHeader('Cache-Status', cacheStatus(decision));
  res.setHeader('Content-Length', body.length);
  res.write(body);
  res.end();
}
