import { isObject, type JsonObject } from '../json/json.ts';

/**
 * Whether a payload tells a failure, in one of the shapes that providers, and the servers in front
 * of them, have for it. What stands deeper in an answer is for its protocol to find.
 */
export function carriesError(payload: JsonObject): boolean {
  const { detail, success, base_resp: minimax } = payload;
  return (
    isError(payload) ||
    saysFailure(payload) ||
    // Groq tells there why a stream stopped early.
    isError(payload['x_groq']) ||
    // FastAPI, and what is built on it: vLLM, LiteLLM, text-embeddings-inference.
    isSet(detail) ||
    // Cloudflare.
    success === false ||
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
  const { type } = part;
  return (
    isSet(part['error']) ||
    (typeof type === 'string' && type.endsWith('error')) ||
    part['object'] === 'error' ||
    tellsError(part)
  );
}

/** Whether an event of that name tells a failure: `error`, Bedrock's `internalServerException`. */
export function namesError(event: string): boolean {
  return event !== '' && failureName.test(event);
}

const failureName = /(?:error|exception|fail(?:ed|ure)?)$/i;

/** `errors`, `provider_error`, `errorMessage`, `error_code`: what has such a name and holds something. */
function tellsError(part: JsonObject): boolean {
  for (const name in part) {
    if (name.includes('rror') && errorName.test(name) && isTelling(part[name])) return true;
  }
  return false;
}

const errorName = /^(?:\w+_)?errors?$|^error(?:_?(?:message|msg|code|type|detail)s?)$/i;

function isTelling(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isObject(value)) return Object.keys(value).length > 0;
  return value !== false && isErrorCode(value);
}

/** A status by name, or one of HTTP. */
function saysFailure({ status, statusCode, status_code: code }: JsonObject): boolean {
  return [status, statusCode, code].some(
    (one) => (typeof one === 'number' && one >= 400) || one === 'error' || one === 'failed',
  );
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
