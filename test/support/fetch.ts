import type { FetchHandler } from '../../policies/hosts/fetch/index.ts';
import { requests } from './answers.ts';

/** A response body that the test writes, and that records how it is read. */
export class Source {
  pulls = 0;
  cancelled = false;
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  /** With `chunks`, each pull delivers one of them. */
  constructor(chunks: readonly string[] | null = null) {
    const waiting = [...(chunks ?? [])];
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => {
          this.pulls++;
          if (chunks === null) return;
          const next = waiting.shift();
          if (next === undefined) this.end();
          else this.push(next);
        },
        cancel: () => void (this.cancelled = true),
      },
      { highWaterMark: 0 },
    );
  }

  push(text: string): void {
    this.#controller?.enqueue(new TextEncoder().encode(text));
  }

  end(): void {
    this.#controller?.close();
  }

  break(): void {
    this.#controller?.error(new Error('the upstream broke off'));
  }
}

export function jsonResponse(
  body: BodyInit,
  headers: Record<string, string> = {},
  status = 200,
): Response {
  return new Response(body, {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

export function sseResponse(body: BodyInit, headers: Record<string, string> = {}): Response {
  const type = { 'content-type': 'text/event-stream; charset=utf-8' };
  return new Response(body, { headers: { ...type, ...headers } });
}

export interface AskParts {
  /** A string or a stream is sent unchanged, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly path?: string;
  readonly method?: string;
  readonly signal?: AbortSignal;
}

/** Creates a request as a client would send it. */
export function request(parts: AskParts = {}): Request {
  const { body = requests.chat.body, path = requests.chat.path, method = 'POST' } = parts;
  const isRaw = typeof body === 'string' || body instanceof ReadableStream;
  const init: RequestInit & { readonly duplex: 'half' } = {
    method,
    duplex: 'half',
    headers: { 'content-type': 'application/json', ...parts.headers },
    ...(method === 'GET' ? {} : { body: isRaw ? body : JSON.stringify(body) }),
    ...(parts.signal === undefined ? {} : { signal: parts.signal }),
  };
  return new Request(`http://proxy.test${path}`, init);
}

/** What a client has received of a response when it is over. */
export interface Got {
  readonly status: number;
  readonly text: string;
  readonly headers: Record<string, string>;
  /** Whether the body ended in an error. */
  readonly broken: boolean;
}

export async function read(pending: Response | Promise<Response>): Promise<Got> {
  const response = await pending;
  const decoder = new TextDecoder();
  let text = '';
  let broken = false;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const { value } = (await reader?.read()) ?? {};
      if (value === undefined) break;
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    broken = true;
  }
  const { status } = response;
  return { status, text, headers: Object.fromEntries(response.headers), broken };
}

/** A scripted handler that records its requests. */
export class Script {
  readonly requests: Request[] = [];
  readonly bodies: string[] = [];
  #answer: FetchHandler<readonly unknown[]>;

  constructor(answer: FetchHandler<readonly unknown[]>) {
    this.#answer = answer;
  }

  answer(answer: FetchHandler<readonly unknown[]>): void {
    this.#answer = answer;
  }

  /** Reads the body before it answers, like a proxy. */
  readonly handler = async (asked: Request, ...rest: readonly unknown[]): Promise<Response> => {
    this.requests.push(asked);
    this.bodies.push(await asked.text());
    return this.#answer(asked, ...rest);
  };
}
