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

/** What one answer says of itself. */
export interface Reading {
  readonly id: string | null;
  readonly model: string | null;
  readonly usage: Usage | null;
  /** The first thing found wrong with it; null when it is what the protocol calls a whole answer. */
  readonly fault: RefusalReason | null;
  /** One a choice, null where a choice has none; empty where the protocol has no such thing. */
  readonly finishReasons: readonly (string | null)[];
  /** The model refused, in the protocol's own field for that, or a filter took part of the answer. */
  readonly refused: boolean;
  /** Choices, vectors or results in it; null where the protocol gives one answer to a request. */
  readonly parts: number | null;
  /**
   * When the provider forgets what the answer names (a voice, a container), in milliseconds since
   * the epoch; null where it names nothing of the kind.
   */
  readonly expiresAt: number | null;
}

/** Reads a stream event by event while it passes, keeping only what `reading` tells. */
export interface StreamReader {
  /** True once the protocol's own ending has come. */
  readonly ended: boolean;
  /** As `reading` tells it, for less work. */
  readonly fault: Reading['fault'];
  /**
   * Takes one event. `name` is its `event:` field (empty without one), `data` the parsed payload.
   * Returns false when no event may stand here: after the ending.
   */
  event(name: string, data: JsonObject): boolean;
  /** Takes a `[DONE]`. Returns false where the protocol has no place for it. */
  done(): boolean;
  reading(): Reading;
}

/** Where a request goes, as its client sent it: the path, and the query with its question mark. */
export interface Target {
  readonly path: string;
  readonly query: string;
}

/** What a target tells of a request, of an API whose bodies do not. */
export interface TargetFacts {
  readonly model: string | null;
  readonly isStream: boolean;
}

/** The inputs of a request that has several, each of which could be asked for alone. */
export interface InputList {
  /** How long each is; more tokens than another where it is longer. */
  readonly weights: readonly number[];
  /** The body that asks for the input at that place alone. */
  one(at: number): Uint8Array;
  /** The body that asks for those at these places. */
  some(places: readonly number[]): Uint8Array;
}

/** An answer taken apart. */
export interface ItemAnswer {
  /** What it says beside its items and its usage. */
  readonly rest: JsonObject;
  /** In the order of the inputs. */
  readonly items: readonly JsonObject[];
  /** The same for answers whose items may stand in one answer: the model, the kind and length of vectors. */
  readonly shape: string;
}

/** How requests and answers of an API are divided by item. */
export interface ItemRules {
  /** Null where the request has no list of inputs. */
  readInputs(body: Uint8Array): InputList | null;
  /** Null where it is no answer with one item for each of `count` inputs. */
  readItems(body: Uint8Array, count: number): ItemAnswer | null;
  /** One answer of these items; `saved` of its `total` tokens were not billed; null where they are not known. */
  joinItems(
    answer: ItemAnswer,
    usage: { readonly total: number; readonly saved: number } | null,
  ): Uint8Array;
}

/** One API that the cache serves. A new provider API is one file that exports one of these. */
export interface Protocol {
  readonly name: ProtocolName;
  /** The provider's name in the usage records, where the operator gave none. */
  readonly provider: string;
  /** Whether `path`, as the client sent it and without its query, is one of this API. */
  matches(path: string): boolean;
  isStream(body: JsonObject): boolean;
  /** Of an API whose target, and not its body, names the model and the stream mode. */
  readTarget?(target: Target): TargetFacts;
  /** Whether a replay would lose an effect at the provider. */
  isStateful(body: JsonObject): boolean;
  /** Whether the request itself bounds the length of the answer. */
  setsLimit(body: JsonObject): boolean;
  /** How many choices, vectors or results the request asks for. */
  parts(body: JsonObject): number;
  /** Finish reasons of a complete answer. */
  readonly complete: readonly string[];
  /** Finish reasons of an answer that was cut at a length limit. */
  readonly limited: readonly string[];
  /** Whether cached and cache-write tokens come on top of the input tokens, instead of being among them. */
  readonly cacheApart: boolean;
  /** Whether an answer that tells no usage costs nothing; else its cost is not known. */
  readonly isFreeUncounted?: boolean;
  /** Of an API whose answers can be put together of answers to their inputs. */
  readonly items?: ItemRules;
  readAnswer(json: JsonObject): Reading;
  /** Of an API that may answer with an array. */
  readList?(items: readonly unknown[]): Reading;
  streamReader(): StreamReader;
}
