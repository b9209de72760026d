import type { EntryHead } from '../../entry.ts';
import { isDigest } from './packing.ts';

/** What entries of one model and one kind of request have in common. */
export interface Form {
  readonly namespace: string;
  readonly protocol: EntryHead['protocol'];
  readonly model: string | null;
  readonly requestedModel: string | null;
  readonly stream: boolean;
  readonly headers: EntryHead['headers'];
  /** The parts of the fingerprint. A null stands for a digest, which each entry keeps itself. */
  readonly parts: readonly (readonly [name: string, value: string | null])[];
  /** Null if the usage is unknown. */
  readonly usage: {
    readonly details: readonly string[];
    readonly terms: readonly string[] | null;
  } | null;
}

/** Returns the form of an entry. */
export function formOf(head: EntryHead): Form {
  const { namespace, protocol, model, requestedModel, stream, headers, usage } = head;
  return {
    namespace,
    protocol,
    model,
    requestedModel,
    stream,
    headers: Object.freeze({ ...headers }),
    parts: Object.entries(head.fingerprint).map(
      ([name, value]) => [name, isDigest(value) ? null : value] as const,
    ),
    usage: usage && { details: Object.keys(usage.details), terms: usage.terms ?? null },
  };
}
