import type { EntryHead } from '../../entry.ts';
import { isDigest } from './packing.ts';

/** What entries of one model have in common that were asked for in one way. */
export interface Form {
  readonly namespace: string;
  readonly protocol: EntryHead['protocol'];
  readonly model: string | null;
  readonly requestedModel: string | null;
  readonly stream: boolean;
  readonly headers: EntryHead['headers'];
  /** The parts of the fingerprint; a null is a digest, which is each entry's own. */
  readonly parts: readonly (readonly [name: string, value: string | null])[];
  /** Null where the usage is not known. */
  readonly usage: {
    readonly details: readonly string[];
    readonly terms: readonly string[] | null;
  } | null;
}

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

/** Whether `formOf` would make that form of the entry. */
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

function areSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one, at) => one === others[at]);
}
