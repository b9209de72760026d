'use strict';

const { createServer } = require('node:http');
const { json: readJson } = require('node:stream/consumers');
const { setTimeout: wait } = require('node:timers/promises');
const { freshId } = require('./upstream/words');

// The demo's provider: answers like OpenAI and Anthropic, at the pace of a model, and prints a line
// for every call that reached it. A call that the cache answered is not among them.

const apis = [
  require('./upstream/chat'),
  require('./upstream/completions'),
  require('./upstream/responses'),
  require('./upstream/embeddings'),
  require('./upstream/messages'),
];

const openAiError = (type, message) => ({
  error: { message, type, param: null, code: null },
});

/** Resolves to the server, or rejects where the port is taken. */
function startUpstream({ port, host = '127.0.0.1', tokenMs = 40, print = console.log }) {
  let calls = 0;
  const serveCall = async (req, res) => {
    const call = `[upstream] call ${++calls}: ${req.method} ${req.url}`;
    const startedAt = Date.now();
    const what = await serve(req, res, tokenMs).catch((error) => `failed: ${error.message}`);
    const left = res.writableFinished || !res.destroyed ? '' : ', but the client left';
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    print(`${call}: ${what} (${seconds} s${left})`);
  };
  const server = createServer((req, res) => void serveCall(req, res));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve(server));
  });
}

/** Answers a call, and says in a few words what it was. */
async function serve(req, res, tokenMs) {
  const { pathname } = new URL(req.url, 'http://upstream');
  const api = apis.find(({ path }) => path === pathname);
  const body = await readJson(req).catch(() => null);
  const refusal = refuse(req, api, body);
  if (refusal !== null) {
    const [status, type, message] = refusal;
    sendJson(res, status, (api?.error ?? openAiError)(type, message));
    return `${status}, ${message}`;
  }

  const answer = api.answer(body);
  const isStream = body.stream === true && answer.frames !== undefined;
  res.setHeader('x-request-id', freshId('req_'));
  if (isStream) {
    await sendStream(res, answer.frames, tokenMs);
  } else {
    await wait(answer.tokens * tokenMs);
    sendJson(res, 200, answer.json);
  }
  return `${body.model}, ${isStream ? 'stream' : 'JSON'}, ${answer.tokens} tokens`;
}

/** Why a call is refused: status, type and message; null where it is not. */
function refuse(req, api, body) {
  if (api === undefined) return [404, 'not_found_error', `Unknown path ${req.url}`];
  if (req.method !== 'POST') return [405, 'invalid_request_error', 'Only POST is served here'];
  const complaint = complaintAbout(body) ?? api.complaint(body);
  return complaint === null ? null : [400, 'invalid_request_error', complaint];
}

function complaintAbout(body) {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return 'The body must be a JSON object';
  }
  return typeof body.model === 'string' && body.model !== '' ? null : "'model' must be a text";
}

function sendJson(res, status, value) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(`${JSON.stringify(value, null, 2)}\n`);
}

async function sendStream(res, frames, tokenMs) {
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  for (const frame of frames) {
    if (res.destroyed) return;
    res.write(frame);
    await wait(tokenMs);
  }
  res.end();
}

module.exports = { startUpstream };
