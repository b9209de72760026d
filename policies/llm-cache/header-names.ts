/*
 * Classifies headers by name, mostly those of requests. The lists cover the headers of providers,
 * gateways, proxies and identity-aware front ends. Names are in lower case.
 */

/** Headers with a digest of a message's body: RFC 9530, RFC 3230, RFC 1864. */
export const digestHeaders = ['content-digest', 'repr-digest', 'digest', 'content-md5'] as const;

/** Words in the name of a header that carries an identity or a credential. */
const identityWords =
  'key|apikey|token|oauth2?|auth|authn|authz|authorization|authorisation|authentication|' +
  'authenticated|jwt|jws|saml|oidc|assertion|secret|passw(?:or)?d|passphrase|credentials?|creds?|' +
  'session|sid|cookies?|cookie2|users?|usr|uid|username|consumer|tenant|account|acct|org|' +
  'organi[sz]ation|vk|signature|sign|sig|hmac|identity|principal|subject|sub|login|e?mail|' +
  'clientcert|cert|certificate|dn|bearer|customer|workspace|project|team|company|member|owner|' +
  'actor|caller|impersonate|behalf|groups?|roles?|permissions?|claims?|scopes?|entitlements?|pass|' +
  'pwd|passcode|pin|ticket|sso|appcheck|openid|unionid|msisdn|subscriber|subscription|developer|' +
  'employee|person|profile|partner|merchant|realm|runas|sudo';

/** Words that are joined to an identity word: `xapikey`, `accesstoken`, `userid`, `virtualkey`. */
const joinedWords =
  'x|api|access|refresh|id|ids|client|app|application|service|private|public|master|admin|my|' +
  'virtual|subscription|license|name|info|code|hash|value|data';

const identityWord = new RegExp(
  `^(?:${joinedWords})*(?:${identityWords})(?:${identityWords}|${joinedWords})*$`,
);
/** A longer part is no word, and the pattern above would backtrack for too long. */
const longestWord = 40;

/** Pairs of words that name an identity only together. */
const identityPairs =
  /(?:^|[-_.])(?:(?:client|app|application|device|installation|visitor|agent|player|patient|student|group|department)[-_.]?id|(?:act|run)[-_.]?as)$/;

/**
 * Names with an identity word that carry no identity: headers that name software, and headers with
 * a new value in each request, which would give every request its own entry.
 */
const noIdentity =
  /user-agent$|^sec-(?:ch|fetch|websocket)-|^x-stainless-|(?:^|[-_.])(?:idempotency|idempotent|dedup|deduplication)(?:[-_.]|$)/;

/** Returns whether the name says that the header carries an identity or a credential. */
export function namesIdentity(name: string): boolean {
  if (noIdentity.test(name)) return false;
  // RFC 9110, section 10.1.2: who controls the user agent.
  if (name === 'from' || identityPairs.test(name)) return true;
  return name.split(/[-_.]/).some((part) => part.length <= longestWord && identityWord.test(part));
}

/** Headers that tell a gateway or a provider how to route or process a request. */
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

/** Headers with a new value in each request, or for statistics only. */
const notRouting =
  /^helicone-property-|^x-bf-(?:prom|maxim)-|^x-litellm-spend-logs-metadata$|^sec-ch-|(?:^|[-_.])(?:request|trace|span|generation|event|call|correlation|invocation)[-_]?(?:id|name)$/;

/** Returns whether the name says that the header may change the answer. */
export function namesRoute(name: string): boolean {
  if (notRouting.test(name)) return false;
  return routeFamilies.some((family) => name.startsWith(family)) || routeWords.test(name);
}

/**
 * Headers that an upstream may use in place of the request's own host, scheme or path. `Host` itself
 * depends on `forwardsHost`.
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
  // RFC 7240: `respond-async` makes the server accept the request and answer later.
  'prefer',
]);
