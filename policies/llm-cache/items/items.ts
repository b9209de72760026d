import type { LlmRequest } from '../../shared/exchange.ts';
import type { InputList, ItemRules } from '../../shared/protocols/protocol.ts';
import { type Later, RequestBody } from '../../shared/request-body.ts';
import { nextTurn } from '../../shared/turns.ts';
import { cacheKey, type KeyMaking, type KeyMaterial, withBody } from '../key.ts';

/** One input of a request: its entry is that of the request which asks for it alone. */
export interface Item {
  readonly key: string;
  readonly material: KeyMaterial;
  /** Where it stands first. */
  readonly at: number;
  /** How much of the tokens is its part. */
  readonly weight: number;
}

/** The inputs that an upstream is asked for, in the order of its answer; the same one may stand twice. */
export interface Items {
  readonly rules: ItemRules;
  readonly list: InputList;
  readonly asked: readonly Item[];
  /** These are not all inputs of the request. */
  readonly isPart: boolean;
}

/** A larger body is asked for as it is: it is taken apart at once. */
const maxBytes = 4 * 1024 * 1024;
/** Keys that are made in one turn of the event loop. */
const keysATurn = 100;

/** The inputs of a request; null where it has no list of them. */
export async function readItems(
  { request, material }: { readonly request: LlmRequest; readonly material: KeyMaterial },
  maxRequestBytes: number,
  making: KeyMaking,
): Promise<Items | null> {
  const rules = request.protocol.items;
  const body = await request.body(maxRequestBytes);
  if (rules === undefined || !(body instanceof RequestBody)) return null;
  if (body.coded !== null || body.length > maxBytes) return null;
  const list = rules.readInputs(joined(body.chunks, body.length));
  if (list === null) return null;
  const known = new Map<string, Item>();
  const asked: Item[] = [];
  for (let at = 0; at < list.weights.length; at++) {
    if (at % keysATurn === keysATurn - 1) await nextTurn();
    const one = withBody(material, body.like(list.one(at)), making);
    // A large one, which is read bit by bit, is waited for.
    const key = await later(cacheKey(one, making.digest));
    let item = known.get(key);
    if (item === undefined) {
      item = { key, material: one, at, weight: list.weights[at] ?? 1 };
      known.set(key, item);
    }
    asked.push(item);
  }
  return { rules, list, asked, isPart: false };
}

export function weightsOf(items: readonly Item[]): readonly number[] {
  return items.map(({ weight }) => weight);
}

async function later<T>(value: Later<T>): Promise<T> {
  return value;
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
