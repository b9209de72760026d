import { isObject } from '../shared/json/json.ts';
import { JsonScan } from '../shared/json/json-scan.ts';
import type { OnMember } from '../shared/json/member-list.ts';
import { nodeHashing } from '../hosts/node/digest.ts';
import { inTurns, nextTurn } from '../shared/turns.ts';
import { AdminError, type AdminRequest, parsedBody, withBody } from './http.ts';

/** A parsed question, with the bytes of its `body` kept apart. */
export interface AskedQuestion {
  /** The question, with an empty value of the same type in place of a large `body`. */
  readonly asked: unknown;
  /** Null if the question has no body. */
  readonly body: Uint8Array | null;
}

/** The bound of a question without its body. */
const maxRestBytes = 64 * 1024;
const unitsPerStep = 64 * 1024;

/** Reads the question in a request and passes it to `answer`. Throws an AdminError. */
export function readQuestion<T>(
  req: AdminRequest,
  answer: (question: AskedQuestion) => Promise<T>,
): Promise<T> {
  const asked = parsedBody(req);
  if (asked !== undefined) return answer({ asked, body: bodyBytes(asked) });
  return withBody(req, async (bytes) => answer(await extractBody(bytes)));
}

function bodyBytes(asked: unknown): Uint8Array | null {
  const body = isObject(asked) ? asked['body'] : null;
  if (typeof body !== 'string' && !isObject(body)) return null;
  return new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
}

/**
 * Extracts the member `body` from a question without parsing it. The body may be as large as any
 * request, and parsing it would block the event loop. Throws an AdminError.
 */
async function extractBody(bytes: Uint8Array): Promise<AskedQuestion> {
  let [from, to] = [0, 0];
  const onMember: OnMember = (name, start, end) => {
    if (name === 'body') [from, to] = [start, end];
  };
  const scan = new JsonScan(bytes, nodeHashing, { onMember });
  await inTurns(() => scan.step(unitsPerStep));
  const { problem } = scan.content;
  if (problem !== null) throw new AdminError(400, 'the body is not a JSON object');
  if (to === 0) return { asked: parseRest(bytes, 0, 0, ''), body: null };
  switch (bytes[from]) {
    case 0x7b: // {
      return { asked: parseRest(bytes, from, to, '{}'), body: bytes.subarray(from, to) };
    case 0x22: // "
      return {
        asked: parseRest(bytes, from, to, '""'),
        body: await decodeString(bytes.subarray(from, to)),
      };
    default:
      return { asked: parseRest(bytes, 0, 0, ''), body: null };
  }
}

function parseRest(bytes: Uint8Array, from: number, to: number, instead: string): unknown {
  if (bytes.length - (to - from) > maxRestBytes) {
    throw new AdminError(
      413,
      `the question without its "body" is larger than ${maxRestBytes} bytes`,
    );
  }
  const text = (start: number, end: number) => Buffer.from(bytes.subarray(start, end)).toString();
  return JSON.parse(`${text(0, from)}${instead}${text(to, bytes.length)}`) as unknown;
}

/** Decodes a JSON string literal. */
async function decodeString(literal: Uint8Array): Promise<Uint8Array> {
  const text = JSON.parse(new TextDecoder().decode(literal)) as string;
  if (literal.length > maxRestBytes) await nextTurn();
  return new TextEncoder().encode(text);
}
