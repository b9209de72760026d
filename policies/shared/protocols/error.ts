import { isObject, type JsonObject } from '../json/json.ts';

/**
 * Whether a payload reports a failure, in one of the shapes that providers and the servers in front of
 * them use. The protocols look for errors deeper in an answer.
 */
export function carriesError(payload: JsonObject): boolean {
  const { detail, success, base_resp: minimax } = payload;
  return (
    isError(payload) ||
    hasFailureStatus(payload) ||
    // Groq reports here why a stream stopped early.
    isError(payload['x_groq']) ||
    // FastAPI and servers built on it: vLLM, LiteLLM, text-embeddings-inference.
    isSet(detail) ||
    // Cloudflare.
    success === false ||
    (isObject(minimax) && isErrorCode(minimax['status_code'])) ||
    // AWS and many gateways: a message, and no member of an answer.
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
    hasErrorMember(part)
  );
}

/** Whether an event with that name reports a failure: `error`, Bedrock's `internalServerException`. */
export function namesError(event: string): boolean {
  return event !== '' && failureName.test(event);
}

const failureName = /(?:error|exception|fail(?:ed|ure)?)$/i;

/** Whether a member such as `errors`, `provider_error`, `errorMessage` or `error_code` is not empty. */
function hasErrorMember(part: JsonObject): boolean {
  for (const name in part) {
    if (name.includes('rror') && errorName.test(name) && isNotEmpty(part[name])) return true;
  }
  return false;
}

const errorName = /^(?:\w+_)?errors?$|^error(?:_?(?:message|msg|code|type|detail)s?)$/i;

function isNotEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isObject(value)) return Object.keys(value).length > 0;
  return value !== false && isErrorCode(value);
}

/** Whether a status, by name or HTTP status code, reports a failure. */
function hasFailureStatus({ status, statusCode, status_code: code }: JsonObject): boolean {
  return [status, statusCode, code].some(
    (one) => (typeof one === 'number' && one >= 400) || one === 'error' || one === 'failed',
  );
}

/** Whether OpenAI's `{input, output}`, each a verdict or an error, has an error. */
export function isModerationError(moderation: unknown): boolean {
  return isObject(moderation) && (isError(moderation['input']) || isError(moderation['output']));
}

/** Whether a JSON body is a list of errors, as Gemini sends them. */
export function isErrorList(json: unknown): boolean {
  return Array.isArray(json) && json.some((one) => isObject(one) && carriesError(one));
}

/** Every answer has at least one of these members, and so has every chunk with a message of its own. */
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
