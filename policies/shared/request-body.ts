import { isObject, type JsonObject } from './json.ts';

/** A request body as it came, read as text and as JSON once, when somebody asks. */
export class RequestBody {
  readonly bytes: Uint8Array;
  /** Why it is not a JSON object; null when it is. */
  readonly problem: 'not-utf8' | 'not-json' | null;
  /** The text that was parsed; empty where the bytes are not UTF-8. */
  readonly text: string;
  /** The parsed body; empty where there is a problem. */
  readonly json: JsonObject;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.text = '';
    this.json = {};
    this.problem = null;
    try {
      // A byte order mark is kept, so that it fails as JSON: RFC 8259 forbids it.
      this.text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      this.problem = 'not-utf8';
      return;
    }
    try {
      const parsed: unknown = JSON.parse(this.text);
      if (isObject(parsed)) this.json = parsed;
      else this.problem = 'not-json';
    } catch {
      this.problem = 'not-json';
    }
  }
}
