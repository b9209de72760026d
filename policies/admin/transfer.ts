import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { entriesOf } from '../llm-cache/stores/entries-of.ts';
import type { Seal } from '../llm-cache/stores/seal.ts';
import { readSnapshot, SnapshotFault, writeSnapshot } from '../llm-cache/stores/snapshot.ts';
import type { Store, StoredEntry } from '../llm-cache/stores/store.ts';
import { storesNamed, type EntryServices, filterNames, readFilter } from './entries.ts';
import { AdminError, type AdminRequest, readQuery, refuseForms, sendHead } from './http.ts';

export interface TransferServices extends EntryServices {
  sealOf(store: string): Seal;
}

const mediaType = 'application/octet-stream';

/** Answers `GET /llm-cache/export`: the matching entries of one store as a snapshot. */
export async function exportEntries(
  req: AdminRequest,
  res: ServerResponse,
  services: TransferServices,
): Promise<void> {
  const query = readQuery(req, [...filterNames, 'store']);
  const filter = await readFilter(query, services);
  const [name, store] = singleStore(services, query.store);
  const pieces = writeSnapshot(entriesOf(store, filter), services.sealOf(name));
  // Reads the first piece before sending the head, so that a failing store still gets an error status.
  const first = await pieces.next();
  sendHead(res, 200, mediaType, {
    'Content-Disposition': `attachment; filename="llm-cache-${new Date().toISOString().slice(0, 10)}.snapshot"`,
  });
  await pipeline(Readable.from(withFirst(first, pieces)), res);
}

async function* withFirst(
  first: IteratorResult<Buffer, void>,
  rest: AsyncGenerator<Buffer, void>,
): AsyncGenerator<Buffer, void> {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}

/** How many bytes an import writes before it waits for the store to flush. */
const flushBytes = 8 * 1024 * 1024;

let isImporting = false;

/** Answers `POST /llm-cache/import`: puts the entries of a snapshot into a store. */
export async function importEntries(
  req: AdminRequest,
  services: TransferServices,
  now: number,
): Promise<object> {
  const query = readQuery(req, ['store']);
  refuseForms(req, `the body must be an export: send it as ${mediaType}`);
  const [name, store] = singleStore(services, query.store);
  // The app's JSON parser has consumed the body.
  if (req.readableEnded) throw new AdminError(415, `the body must be sent as ${mediaType}`);
  if (isImporting) throw new AdminError(503, 'another import is under way; try again');
  isImporting = true;
  const counts = { imported: 0, skipped: 0, refused: 0 };
  try {
    // Keeps the connection open for the response.
    const chunks = req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    await importInto(store, readSnapshot(chunks, services.sealOf(name)), counts, now);
  } catch (error) {
    if (req.destroyed && !req.complete) throw new AdminError(400, 'the upload was cut off');
    if (!(error instanceof SnapshotFault)) throw error;
    throw new AdminError(
      400,
      `the export could not be read to its end: ${error.message}; ${counts.imported} entries were imported`,
    );
  } finally {
    isImporting = false;
    req.resume();
  }
  return counts;
}

async function importInto(
  store: Store,
  entries: AsyncIterable<StoredEntry>,
  counts: { imported: number; skipped: number; refused: number },
  now: number,
): Promise<void> {
  const askedAt = performance.now();
  let pendingBytes = 0;
  for await (const { key, entry } of entries) {
    const known = entry.expiresAt > now ? (await store.look(key))?.head : null;
    if (known === null || (known !== undefined && known.storedAt >= entry.storedAt)) {
      counts.skipped++;
      continue;
    }
    if (await store.set(key, entry, askedAt)) counts.imported++;
    else counts.refused++;
    pendingBytes += entry.body.length;
    if (pendingBytes < flushBytes) continue;
    await store.flushed?.();
    pendingBytes = 0;
  }
  await store.flushed?.();
}

/** Returns the named store, or the only one. Throws an AdminError. */
function singleStore(
  { entryStores }: TransferServices,
  asked: string | undefined,
): readonly [name: string, store: Store] {
  const [only, another] = storesNamed(entryStores, asked);
  if (only !== undefined && another === undefined) return only;
  const names = entryStores.map(([name]) => name).join(', ');
  throw new AdminError(400, `say which store: "store" must be one of ${names}`);
}
