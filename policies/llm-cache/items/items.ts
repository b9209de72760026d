import type { LlmRequest } from '../../shared/exchange.ts';
import type { InputList, ItemRules } from '../../shared/protocols/protocol.ts';
import { type Later, RequestBody } from '../../shared/request-body.ts';
import { nextTurn } from '../../shared/turns.ts';
import { cacheKey, type KeyMaking, type KeyMaterial, withBody } from '../key.ts';

/** One input of a request. Its key is that of a request for this input alone. */
export interface Item {
  readonly key: string;
  readonly material: KeyMaterial;
  /** The index of its first occurrence. */
  readonly at: number;
  /** Its share of the tokens, relative to the weights of the other inputs. */
  readonly weight: number;
}

/** The inputs in a call to the upstream. */
export interface Items {
  readonly rules: ItemRules;
  readonly list: InputList;
  /** In the order of the answer; duplicates are the same object. */
  readonly asked: readonly Item[];
  /** Whether the call leaves out inputs of the client's request: stored ones or duplicates. */
  readonly isPart: boolean;
}

/** A larger body is forwarded unchanged, as parsing it would block the event loop. */
const maxBytes = 4 * 1024 * 1024;
/** Keys to compute in one turn of the event loop. */
const keysPerTurn = 100;

/** Reads the inputs of a request; null if it has no list of them. */
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
    if (at % keysPerTurn === keysPerTurn - 1) await nextTurn();
    const one = withBody(material, body.like(list.one(at)), making);
    // The key of a large input comes later: its body is read in steps.
    const key = await settled(cacheKey(one, making.digest));
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

async function settled<T>(value: Later<T>): Promise<T> {
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
