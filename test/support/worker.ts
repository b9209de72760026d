import { withLlmCache } from '../../policies/hosts/fetch/index.ts';
import { answers } from './answers.ts';

// A worker with a scripted provider that sends the tests' answers. A GET returns the number of
// calls and the records.

let calls = 0;
const records: unknown[] = [];

async function provider(request: Request): Promise<Response> {
  if (request.method === 'GET') return Response.json({ calls, records });
  const { stream } = (await request.json()) as { stream?: boolean };
  calls++;
  if (stream !== true) {
    return new Response(answers.chat.json, { headers: { 'content-type': 'application/json' } });
  }
  const events = answers.chat.sse.split(/(?<=\n\n)/);
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const event = events.shift();
      if (event === undefined) controller.close();
      else controller.enqueue(new TextEncoder().encode(event));
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

export default {
  fetch: withLlmCache(provider, { record: (record) => void records.push(record) }),
};
