import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** A name with a space, which no client can send as a header. */
const header = 'tls client-cert';

const known = new WeakMap<TLSSocket, readonly string[]>();
const none: readonly string[] = [];

/**
 * Returns the certificate that a client presented on its connection as a header name and value, like
 * the header that a proxy sets (RFC 9440). Returns an empty list if the client presented none.
 */
export function certificateLine(socket: Socket): readonly string[] {
  if (!(socket instanceof TLSSocket)) return none;
  let line = known.get(socket);
  if (line === undefined) {
    // Contrary to its type, it is empty without a certificate, and null on a closed connection.
    const certificate = socket.getPeerCertificate() as { fingerprint256?: string } | null;
    const fingerprint = certificate?.fingerprint256;
    line = fingerprint === undefined ? none : [header, fingerprint];
    known.set(socket, line);
  }
  return line;
}
