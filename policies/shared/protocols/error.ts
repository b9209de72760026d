import { isObject, type JsonObject } from '../json/json.ts';

/**
 * Whether a payload tells a failure, in one of the shapes that providers, and the servers in front
 * of them, have for it. What stands deeper in an answer is for its protocol to find.
 */
export function carriesError(payload: JsonObject): boolean {
  const { detail, success, error_code: code, base_resp: minimax } = payload;
  return (
    isError(payload) ||
    // Groq tells there why a stream stopped early.
    isError(payload['x_groq']) ||
    // FastAPI, and what is built on it: vLLM, LiteLLM, text-embeddings-inference.
    isSet(detail) ||
    // Cloudflare.
    success === false ||
    isErrorCode(code) ||
    (isObject(minimax) && isErrorCode(minimax['status_code'])) ||
    // AWS and many gateways: words, and nothing of an answer beside them.
    (errorWords.some((name) => typeof payload[name] === 'string') &&
      !answerMembers.some((name) => isSet(payload[name])))
  );
}

/**
 * Whether a part of an answer is an error or has one: in `error`, by `type: "error"` (Anthropic,
 * Responses) or by `object: "error"` (Mistral, vLLM).
 */
export function isError(part: unknown): boolean {
  if (!isObject(part)) return false;
  return isSet(part['error']) || part['type'] === 'error' || part['object'] === 'error';
}

/** OpenAI's `{input, output}`, each a verdict or what kept it from one. */
export function isModerationError(moderation: unknown): boolean {
  return isObject(moderation) && (isError(moderation['input']) || isError(moderation['output']));
}

/** Whether a JSON body is a list of errors: Gemini wraps its own so. */
export function isErrorList(json: unknown): boolean {
  return Array.isArray(json) && json.some((one) => isObject(one) && carriesError(one));
}

/** At least one of them is in every answer, and in every part of a stream that has words of its own. */
const answerMembers = [
  'choices',
  'data',
  'output',
  'content',
  'response',
  'candidates',
  'embedding',
  'embeddings',
  'results',
];

const errorWords = ['message', 'Message', 'msg', 'error_message', 'errorMessage', 'error_msg'];

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isErrorCode(value: unknown): boolean {
  return isSet(value) && value !== 0 && value !== '0' && value !== '';
}
