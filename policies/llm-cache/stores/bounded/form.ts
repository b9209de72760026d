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

/** Whether `formOf(head)` would equal the form. */
export function hasForm(head: EntryHead, form: Form): boolean {
  const { namespace, protocol, model, requestedModel, stream, headers, usage, fingerprint } = head;
  return (
    namespace === form.namespace &&
    protocol === form.protocol &&
    model === form.model &&
    requestedModel === form.requestedModel &&
    stream === form.stream &&
    hasHeaders(headers, form.headers) &&
    hasParts(fingerprint, form.parts) &&
    hasUsage(usage, form.usage)
  );
}

function hasHeaders(headers: EntryHead['headers'], expected: EntryHead['headers']): boolean {
  const names = Object.keys(headers);
  return (
    areSame(names, Object.keys(expected)) && names.every((name) => headers[name] === expected[name])
  );
}

function hasParts(fingerprint: EntryHead['fingerprint'], parts: Form['parts']): boolean {
  const names = Object.keys(fingerprint);
  return (
    names.length === parts.length &&
    parts.every(([name, expected], at) => {
      const value = fingerprint[name] ?? '';
      return names[at] === name && (isDigest(value) ? null : value) === expected;
    })
  );
}

function hasUsage(usage: EntryHead['usage'], expected: Form['usage']): boolean {
  if (usage === null || expected === null) return usage === expected;
  return (
    areSame(Object.keys(usage.details), expected.details) &&
    areSame(usage.terms ?? [], expected.terms ?? []) &&
    (usage.terms === undefined) === (expected.terms === null)
  );
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, at) => text === b[at]);
}
