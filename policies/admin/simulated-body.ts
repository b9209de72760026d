import { isObject } from '../shared/json/json.ts';
import { JsonScan } from '../shared/json/json-scan.ts';
import type { OnMember } from '../shared/json/member-list.ts';
import { nodeHashing } from '../hosts/node/digest.ts';
import { inTurns, nextTurn } from '../shared/turns.ts';
import { AdminError, type AdminRequest, parsedBody, withBody } from './http.ts';

/** What is asked, and the bytes of the body that it is asked about; null where it names none. */
export interface AskedQuestion {
  /** With something of its kind in place of the body. */
  readonly asked: unknown;
  readonly body: Uint8Array | null;
}

/** All of a question but its body. */
const maxRestBytes = 64 * 1024;
const unitsOfAStep = 64 * 1024;

/** Reads the question in a request, for `answer`. Throws an AdminError. */
export function readQuestion<T>(
  req: AdminRequest,
  answer: (question: AskedQuestion) => Promise<T>,
): Promise<T> {
  const asked = parsedBody(req);
  if (asked !== undefined) return answer({ asked, body: bytesIn(asked) });
  return withBody(req, async (bytes) => answer(await takeBodyOut(bytes)));
}

function bytesIn(asked: unknown): Uint8Array | null {
  const body = isObject(asked) ? asked['body'] : null;
  if (typeof body !== 'string' && !isObject(body)) return null;
  return new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
}

/**
 * Takes the member `body` out of a question, which may be as large as any request, without parsing
 * it: requests are to be answered meanwhile. Throws an AdminError.
 */
async function takeBodyOut(bytes: Uint8Array): Promise<AskedQuestion> {
  let [from, to] = [0, 0];
  const onMember: OnMember = (name, start, end) => {
    if (name === 'body') [from, to] = [start, end];
  };
  const scan = new JsonScan(bytes, nodeHashing, { onMember });
  await inTurns(() => scan.step(unitsOfAStep));
  const { problem } = scan.content;
  if (problem !== null) throw new AdminError(400, 'the body is not a JSON object');
  if (to === 0) return { asked: restOf(bytes, 0, 0, ''), body: null };
  switch (bytes[from]) {
    case 0x7b: // {
      return { asked: restOf(bytes, from, to, '{}'), body: bytes.subarray(from, to) };
    case 0x22: // "
      return {
        asked: restOf(bytes, from, to, '""'),
        body: await unquoted(bytes.subarray(from, to)),
      };
    default:
      return { asked: restOf(bytes, 0, 0, ''), body: null };
  }
}

function restOf(bytes: Uint8Array, from: number, to: number, instead: string): unknown {
  if (bytes.length - (to - from) > maxRestBytes) {
    throw new AdminError(413, `all but "body" is larger than ${maxRestBytes} bytes`);
  }
  const text = (start: number, end: number) => Buffer.from(bytes.subarray(start, end)).toString();
  return JSON.parse(`${text(0, from)}${instead}${text(to, bytes.length)}`) as unknown;
}

/** What a string literal says. */
async function unquoted(literal: Uint8Array): Promise<Uint8Array> {
  const text = JSON.parse(new TextDecoder().decode(literal)) as string;
  if (literal.length > maxRestBytes) await nextTurn();
  return new TextEncoder().encode(text);
}
