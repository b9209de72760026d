import type { JsonObject } from '../json/json.ts';
import type { RefusalReason } from '../reasons.ts';
import type { Usage } from '../usage.ts';

export type ProtocolName =
  | 'chat'
  | 'completions'
  | 'responses'
  | 'embeddings'
  | 'messages'
  | 'gemini'
  | 'gemini-embeddings'
  | 'rerank'
  | 'moderations';

/** What a protocol reads from one answer. */
export interface Reading {
  readonly id: string | null;
  readonly model: string | null;
  readonly usage: Usage | null;
  /** The first fault found; null if the answer is whole by the rules of its protocol. */
  readonly fault: RefusalReason | null;
  /** One for each choice, null if the choice has none; empty if the protocol has no finish reasons. */
  readonly finishReasons: readonly (string | null)[];
  /** Whether the model refused, in the protocol's own field for that, or a filter removed a part. */
  readonly refused: boolean;
  /** The number of choices, vectors or results; null if the protocol gives one answer per request. */
  readonly parts: number | null;
  /**
   * When something that the answer refers to (a voice, a container) expires at the provider, in
   * milliseconds since the epoch; null if it refers to nothing of the kind.
   */
  readonly expiresAt: number | null;
}

/** Reads a stream event by event while it passes, and keeps only what `reading` returns. */
export interface StreamReader {
  /** True once the protocol's own ending has come. */
  readonly ended: boolean;
  /** The fault that `reading` would return, for less work. */
  readonly fault: Reading['fault'];
  /**
   * Takes one event. `name` is its `event:` field (empty without one), `data` the parsed payload.
   * Returns false if the stream has already ended.
   */
  event(name: string, data: JsonObject): boolean;
  /** Takes a `[DONE]`. Returns false if the protocol does not allow one here. */
  done(): boolean;
  /** Returns what has been read so far. */
  reading(): Reading;
}

/** The target of a request as the client sent it: the path, and the query with its question mark. */
export interface Target {
  readonly path: string;
  readonly query: string;
}

/** The facts that a target states, for an API whose bodies do not state them. */
export interface TargetFacts {
  readonly model: string | null;
  readonly isStream: boolean;
}

/** The inputs of a request, each of which could be requested alone. */
export interface InputList {
  /** The length of each input, a proxy for its share of the tokens. */
  readonly weights: readonly number[];
  /** Returns a body that requests only the input at that index. */
  one(at: number): Uint8Array;
  /** Returns a body that requests the inputs at these indexes. */
  some(indexes: readonly number[]): Uint8Array;
}

/** An answer split into its items. */
export interface ItemAnswer {
  /** All members except the items and the usage. */
  readonly rest: JsonObject;
  /** In the order of the inputs. */
  readonly items: readonly JsonObject[];
  /** Equal for answers whose items may be combined: the model, and the encoding and length of vectors. */
  readonly shape: string;
}

/** How the requests and answers of an API are split by item. */
export interface ItemRules {
  /** Returns null if the request has no list of inputs. */
  readInputs(body: Uint8Array): InputList | null;
  /** Returns null unless the answer has one item for each of `count` inputs. */
  readItems(body: Uint8Array, count: number): ItemAnswer | null;
  /** Joins items into one answer. `saved` of its `total` tokens were not billed; `usage` is null if unknown. */
  joinItems(
    answer: ItemAnswer,
    usage: { readonly total: number; readonly saved: number } | null,
  ): Uint8Array;
}

/** An API that the cache serves. Each API is one file that exports one of these. */
export interface Protocol {
  readonly name: ProtocolName;
  /** The default of the provider's name in usage records. */
  readonly provider: string;
  /** Whether `path`, as the client sent it and without its query, belongs to this API. */
  matches(path: string): boolean;
  isStream(body: JsonObject): boolean;
  /** Only for an API whose target, not its body, names the model and the stream mode. */
  readTarget?(target: Target): TargetFacts;
  /** Whether a replay would skip a side effect at the provider. */
  isStateful(body: JsonObject): boolean;
  /** Whether the request itself bounds the length of the answer. */
  setsLimit(body: JsonObject): boolean;
  /** How many choices, vectors or results the request asks for. */
  parts(body: JsonObject): number;
  /** Finish reasons of a complete answer. */
  readonly complete: readonly string[];
  /** Finish reasons of an answer that was cut at a length limit. */
  readonly limited: readonly string[];
  /** Whether the input tokens exclude cached and cache-write tokens. */
  readonly cacheApart: boolean;
  /** Whether an answer without usage is free; otherwise its cost is unknown. */
  readonly isFreeUncounted?: boolean;
  /** Only for an API whose answers can be combined from answers to single inputs. */
  readonly items?: ItemRules;
  readAnswer(json: JsonObject): Reading;
  /** Only for an API that may answer with an array. */
  readList?(items: readonly unknown[]): Reading;
  streamReader(): StreamReader;
}
