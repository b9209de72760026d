import http from 'node:http';

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** Whether the connection broke before the body ended. */
  readonly broken: boolean;
}

export interface Call {
  readonly headers?: http.OutgoingHttpHeaders;
  readonly method?: string;
  /** `chunked` sends the body without a Content-Length. */
  readonly coding?: 'identity' | 'chunked';
}

/** Sends `body` (an object as JSON) and returns the answer's raw bytes. */
export async function post(
  url: string,
  body: string | Buffer | object,
  call: Call = {},
): Promise<Reply> {
  const { response } = await open(url, body, call);
  return read(response);
}

export interface Opened {
  readonly request: http.ClientRequest;
  readonly response: http.IncomingMessage;
}

/** Like `post`, but resolves at the head of the answer. */
export function open(
  url: string,
  body: string | Buffer | object,
  call: Call = {},
): Promise<Opened> {
  const bytes =
    typeof body === 'string' || Buffer.isBuffer(body)
      ? Buffer.from(body)
      : Buffer.from(JSON.stringify(body));
  return new Promise((resolve, reject) => {
    const request = http.request(url, {
      method: call.method ?? 'POST',
      agent: false,
      headers: {
        'content-type': 'application/json',
        ...(call.coding === 'chunked' ? {} : { 'content-length': bytes.length }),
        ...call.headers,
      },
    });
    request.on('response', (response) => resolve({ request, response }));
    request.on('error', reject);
    if (call.coding === 'chunked') request.flushHeaders();
    request.end(bytes);
  });
}

/** An answer that has begun; `reply` resolves when it has ended. */
export interface Begun {
  readonly headers: http.IncomingHttpHeaders;
  readonly reply: Promise<Reply>;
}

/** Like `post`, but resolves at the first bytes of the answer's body. */
export async function begin(
  url: string,
  body: string | Buffer | object,
  call: Call = {},
): Promise<Begun> {
  const { response } = await open(url, body, call);
  const reply = read(response);
  await new Promise((resolve) => response.once('data', resolve));
  return { headers: response.headers, reply };
}

export async function read(response: http.IncomingMessage): Promise<Reply> {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  let broken = false;
  await new Promise<void>((resolve) => {
    response.on('error', () => (broken = true));
    response.on('close', resolve);
    if (response.destroyed) resolve();
    response.resume();
  });
  const body = Buffer.concat(chunks);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body,
    text: body.toString(),
    broken: broken || !response.complete,
  };
}
