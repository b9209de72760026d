import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** No client can send a header of this name. */
const header = 'tls client-cert';

const known = new WeakMap<TLSSocket, readonly string[]>();
const none: readonly string[] = [];

/**
 * The certificate that a client has shown on its connection, as a header line (RFC 9440 is what a
 * proxy makes of it); none where it has shown none.
 */
export function certificateLine(socket: Socket): readonly string[] {
  if (!(socket instanceof TLSSocket)) return none;
  let line = known.get(socket);
  if (line === undefined) {
    // Without one it is an empty object, and null once the connection is gone, whatever its type says.
    const certificate = socket.getPeerCertificate() as { fingerprint256?: string } | null;
    const fingerprint = certificate?.fingerprint256;
    line = fingerprint === undefined ? none : [header, fingerprint];
    known.set(socket, line);
  }
  return line;
}
