/*
 * What a request header is to the cache, as far as its name tells: the header names of providers,
 * gateways, proxies and identity-aware front ends. Names are in lower case.
 */

/** Words that say that a header carries an identity, or what proves one. */
const identity =
  'key|apikey|token|oauth2?|auth|authn|authz|authorization|authorisation|authentication|' +
  'authenticated|jwt|jws|saml|oidc|assertion|secret|passw(?:or)?d|passphrase|credentials?|creds?|' +
  'session|sid|cookies?|cookie2|users?|usr|uid|username|consumer|tenant|account|acct|org|' +
  'organi[sz]ation|vk|signature|sign|sig|hmac|identity|principal|subject|sub|login|e?mail|' +
  'clientcert|cert|certificate|dn|bearer|customer|workspace|project|team|company|member|owner|' +
  'actor|caller|impersonate|behalf|groups?|roles?|permissions?|claims?|scopes?|entitlements?|pass|' +
  'pwd|passcode|pin|ticket|sso|appcheck|openid|unionid|msisdn|subscriber|subscription|developer|' +
  'employee|person|profile|partner|merchant|realm|runas|sudo';

/** What such a word is run together with: `xapikey`, `accesstoken`, `userid`, `virtualkey`. */
const glue =
  'x|api|access|refresh|id|ids|client|app|application|service|private|public|master|admin|my|' +
  'virtual|subscription|license|name|info|code|hash|value|data';

const word = new RegExp(`^(?:${glue})*(?:${identity})(?:${identity}|${glue})*$`);
/** Beyond it a word is none, and the pattern above would take long. */
const longestWord = 40;

/** Two words that say it together. */
const identityPairs =
  /(?:^|[-_.])(?:(?:client|app|application|device|installation|visitor|agent|player|patient|student|group|department)[-_.]?id|(?:act|run)[-_.]?as)$/;

/**
 * Names that have such a word and carry none: what names software, and what a client makes anew for
 * each request, which would leave every request an entry of its own.
 */
const noIdentity =
  /user-agent$|^sec-(?:ch|fetch|websocket)-|^x-stainless-|(?:^|[-_.])(?:idempotency|idempotent|dedup|deduplication)(?:[-_.]|$)/;

/** Whether the name says that the header tells who asks. */
export function namesIdentity(name: string): boolean {
  if (noIdentity.test(name)) return false;
  // RFC 9110, section 10.1.2: who controls the user agent.
  if (name === 'from' || identityPairs.test(name)) return true;
  return name.split(/[-_.]/).some((part) => part.length <= longestWord && word.test(part));
}

/** Headers with which a gateway or a provider is told where a request goes, or what is done to it. */
const routeFamilies = [
  'x-portkey-',
  'helicone-',
  'cf-aig-',
  'x-bf-',
  'x-litellm-',
  'x-dashscope-',
  'x-amzn-bedrock-',
  'x-vertex-ai-',
  'x-ai-eg-',
  'x-tfy-',
  'x-openrouter-',
];

const routeWords =
  /(?:^|[-_.])(?:providers?|upstream|target|backend|rout(?:e|er|ing)|deployment|models?|engine|fallbacks?|guardrails?|override|base[-_]?url|api[-_]?base|api[-_]?version|endpoint|request-params)(?:[-_.]|$)/;

/** Made anew for each request, or told for statistics alone. */
const notRouting =
  /^helicone-property-|^x-bf-(?:prom|maxim)-|^x-litellm-spend-logs-metadata$|^sec-ch-|(?:^|[-_.])(?:request|trace|span|generation|event|call|correlation|invocation)[-_]?(?:id|name)$/;

/** Whether the name says that the header decides which answer comes. */
export function namesRoute(name: string): boolean {
  if (notRouting.test(name)) return false;
  return routeFamilies.some((family) => name.startsWith(family)) || routeWords.test(name);
}

/**
 * Headers that tell an upstream under which address it was asked, and what some go by instead of
 * the request's own; `Host` itself is told of by `forwardsHost`.
 */
export const addressHeaders: ReadonlySet<string> = new Set([
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-scheme',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-path',
  'x-forwarded-uri',
  'x-host',
  'x-original-host',
  'x-original-url',
  'x-original-uri',
  'x-rewrite-url',
  'x-http-host-override',
  'forwarded',
  // RFC 7240: it may turn an answer into the promise of one.
  'prefer',
]);
