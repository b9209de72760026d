import { expect } from 'chai';
import { gatewayIdentity } from '../../policies/shared/identity/identity.ts';
import { nodeDigest } from '../../policies/hosts/node/digest.ts';
import { scopeOf } from '../../policies/llm-cache/scope.ts';
import { llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { validate } from '../../schemas/validate.ts';
import { makeRequest, type RequestParts } from '../support/llm-request.ts';

type Scope = LlmCacheSettings['scope'];

const digest = nodeDigest('a secret');
const credentialHeaders = llmCacheSchema.properties.credentialHeaders.default;

function scope(kind: Scope, parts: RequestParts = {}, action: Partial<LlmCacheSettings> = {}) {
  const settings = validate<LlmCacheSettings>(llmCacheSchema, { ...action, scope: kind }, 'test');
  return scopeOf(makeRequest(parts), settings, digest);
}

const asked = (consumer: unknown) => ({ identity: gatewayIdentity(consumer) });
const alice = asked({ id: 'alice' });
const key1 = { headers: { authorization: 'Bearer sk-1' } };
const key2 = { headers: { authorization: 'Bearer sk-2' } };

describe('The scope of an entry', () => {
  describe('auto', () => {
    it('Scope auto is the consumer where there is one, whatever credential came with it', () => {
      const own = scope('auto', alice);
      expect(own).to.match(/^u[\w-]{22}$/);
      expect(scope('auto', { ...alice, ...key1 })).to.equal(own);
      expect(scope('auto', asked({ id: 'bob' }))).to.not.equal(own);
    });

    it('Scope auto is the credential where there is no consumer', () => {
      const own = scope('auto', key1);
      expect(own).to.match(/^c[\w-]{22}$/);
      expect(scope('auto', key2)).to.not.equal(own);
    });

    it('Scope auto is one anonymous scope for all that bring neither consumer nor credential', () => {
      expect(scope('auto')).to.equal('anonymous');
      expect(scope('auto', { headers: { 'x-other': '1' } })).to.equal('anonymous');
    });

    it('Scope auto is the credential in the query, whatever else is in it', () => {
      const own = scope('auto', { query: '?key=AIza-1' });
      expect(own).to.match(/^c[\w-]{22}$/);
      expect(scope('credential', { query: '?key=AIza-1' })).to.equal(own);
      expect(scope('auto', { query: '?alt=sse&key=AIza-1&api-version=1' })).to.equal(own);
      expect(scope('auto', { query: '?alt=sse&%6Bey=AIza-1' })).to.equal(own);
      const others = ['?key=AIza-2', '?access_token=AIza-1', '?subscription-key=AIza-1'].map(
        (query) => scope('auto', { query }),
      );
      others.push(scope('auto', { ...key1, query: '?key=AIza-1' }), scope('auto', key1));
      expect(new Set([own, ...others])).to.have.length(6);
      for (const query of ['?alt=sse', '?key=', '?api-version=2024-06-01', '?monkey=1', '']) {
        expect(scope('auto', { query }), query).to.equal('anonymous');
        expect(scope('credential', { query }), query).to.equal(null);
      }
    });

    it('The scope ignores the query where the operator has listed the credential headers', () => {
      const listed = { credentialHeaders: ['x-mine'] };
      expect(scope('credential', { query: '?key=AIza-1' }, listed)).to.equal(null);
    });

    it('Scope auto covers the credential and the claims where a token has no subject', () => {
      const one = asked({ role: 'user', tenant: 'a', exp: 1 });
      const other = asked({ role: 'user', tenant: 'b', exp: 1 });
      const scopes = [one, other].flatMap((who) => [
        scope('auto', who),
        scope('auto', { ...who, ...key1 }),
        scope('auto', { ...who, ...key2 }),
      ]);
      expect(new Set(scopes)).to.have.length(6);
      for (const own of scopes) expect(own).to.match(/^c/);
      expect(scope('auto', { ...asked({}), ...key1 })).to.equal(scope('auto', key1));
      expect(scope('credential', { ...one, ...key1 })).to.equal(scope('credential', key1));
    });

    for (const kind of ['auto', 'consumer'] as const) {
      it(`Scope ${kind} is none for an ambiguous consumer, whatever credential came with it`, () => {
        for (const id of ['', Number.NaN, 2 ** 53, {}, [], true]) {
          expect(scope(kind, { ...asked({ id, client_id: 'web' }), ...key1 })).to.equal(null);
        }
      });
    }

    // What public gateways, providers, identity-aware proxies and load balancers call it.
    const identities = [
      'x-litellm-api-key',
      'x-portkey-api-key',
      'x-portkey-virtual-key',
      'x-bf-vk',
      'cf-aig-authorization',
      'helicone-auth',
      'apikey',
      'x-apikey',
      'x-auth-token',
      'x-access-token',
      'x-accesstoken',
      'private-token',
      'x-amz-security-token',
      'x-functions-key',
      'x-auth-request-access-token',
      'x-auth-request-email',
      'x-forwarded-access-token',
      'x-forwarded-user',
      'x-forwarded-email',
      'x-forwarded-client-cert',
      'x-goog-iap-jwt-assertion',
      'x-goog-authenticated-user-email',
      'x-goog-user-project',
      'cf-access-jwt-assertion',
      'cf-access-client-id',
      'x-consumer-id',
      'x-consumer-custom-id',
      'x-authenticated-userid',
      'x-credential-identifier',
      'x-ms-client-principal',
      'x-ms-token-aad-id-token',
      'x-amzn-oidc-identity',
      'x-amzn-oidc-data',
      'x-rapidapi-proxy-secret',
      'x-remote-user',
      'remote_user',
      'x-user-id',
      'x_user_id',
      'x-userid',
      'x-username',
      'x-tenant-id',
      'x-org-id',
      'x-organization',
      'x-account-id',
      'x-customer-id',
      'x-workspace-id',
      'x-client-id',
      'x-session-id',
      'session_id',
      'mcp-session-id',
      'x-session-affinity',
      'x-signature',
      'x-jwt-payload',
      'x-ssl-client-dn',
      'client-cert',
      'tailscale-user-login',
      'x-forwarded-groups',
      'x-roles',
      'x-hasura-role',
      'x-jwt-claims',
      'x-hmac-sha256',
      'x-sso-ticket',
      'x-wechat-openid',
      'x-msisdn',
      'x-firebase-appcheck',
      'x-agent-id',
      'x-act-as',
      'from',
    ];
    for (const name of identities) {
      it(`Scope auto counts ${name} as an identity`, () => {
        const of = (value: string) => scope('auto', { headers: { [name]: value } });
        expect(of('ann')).to.match(/^c/);
        expect(of('ann')).to.not.equal(of('bob'));
        const both = { headers: { authorization: 'Bearer shared', [name]: 'ann' } };
        expect(scope('auto', both)).to.not.equal(of('ann'));
      });
    }

    const others = [
      'user-agent',
      'x-amz-user-agent',
      'idempotency-key',
      'x-idempotency-key',
      'sec-websocket-key',
      'sec-fetch-user',
      'sec-ch-ua',
      'x-stainless-lang',
      'x-stainless-retry-count',
      'x-request-id',
      'x-client-request-id',
      'x-correlation-id',
      'x-amzn-trace-id',
      'traceparent',
      'tracestate',
      'baggage',
      'x-forwarded-for',
      'x-real-ip',
      'accept',
      'accept-language',
      'content-type',
      'content-length',
      'origin',
      'referer',
      'x-title',
      'keep-alive',
      'connection',
      'date',
      'dnt',
      'te',
      'x-monkey',
      'x-author',
      'anthropic-version',
      'openai-organization',
      'anthropic-dangerous-direct-browser-access',
    ];
    for (const name of others) {
      it(`Scope auto does not count ${name} as an identity`, () => {
        expect(scope('auto', { headers: { [name]: 'a' } })).to.equal('anonymous');
      });
    }

    it('Scope auto does not count the headers in ignoreHeaders, by name or by prefix', () => {
      const headers = { Session_Id: 's', 'x-user-agent-id': 'u', authorization: 'Bearer sk-1' };
      const action = { ignoreHeaders: ['session_id', 'X-User-*'] };
      expect(scope('auto', { headers }, action)).to.equal(scope('auto', key1));
      const all = { ignoreHeaders: ['*'] };
      expect(scope('auto', { headers }, all)).to.equal('anonymous');
    });

    it('Scope auto counts an identity header that a policy sets, in any spelling', () => {
      const of = (headers: Record<string, string>, ownHeaders = {}) =>
        scope('auto', { headers, ownHeaders });
      expect(of({ 'x-user-id': 'ann' }))
        .to.match(/^c/)
        .and.to.not.equal(of({ 'x-user-id': 'bob' }));
      expect(of({ 'X-User-Id': 'ann' })).to.equal(of({ 'x-user-id': 'ann' }));
      const spoofed = of({ 'x-user-id': 'bob' }, { 'x-user-id': 'ann' });
      expect(spoofed).to.not.equal(of({ 'x-user-id': 'ann' }, { 'x-user-id': 'ann' }));
      expect(spoofed).to.not.equal(of({ 'x-user-id': 'bob' }));
    });

    it('Scope auto does not depend on the order of headers', () => {
      const headers = { authorization: 'a', 'x-user-id': 'u', cookie: 'c' };
      const turned = Object.fromEntries(Object.entries(headers).toReversed());
      expect(scope('auto', { headers })).to.equal(scope('auto', { headers: turned }));
    });

    it('Scope auto takes header names of any length', () => {
      const long = { headers: { [`x-${'user'.repeat(4000)}!`]: 'a', ['a-'.repeat(8000)]: 'b' } };
      expect(scope('auto', long)).to.equal('anonymous');
    });
  });

  describe('consumer', () => {
    it('Scope consumer is the same as scope auto for a consumer', () => {
      expect(scope('consumer', alice)).to.equal(scope('auto', alice));
    });

    it('Scope consumer is none without a consumer, even with a credential', () => {
      expect(scope('consumer')).to.equal(null);
      expect(scope('consumer', key1)).to.equal(null);
      expect(scope('consumer', { ...asked({ scope: 'read' }), ...key1 })).to.equal(null);
    });
  });

  describe('credential', () => {
    it('Scope credential is the same for the same credential, whatever consumer comes with it', () => {
      expect(scope('credential', { ...alice, ...key1 })).to.equal(scope('credential', key1));
      expect(scope('credential', key1)).to.not.equal(scope('credential', key2));
    });

    it('Scope credential is none without a credential', () => {
      expect(scope('credential', alice)).to.equal(null);
      expect(scope('credential', { headers: { authorization: '' } })).to.equal(null);
    });

    for (const name of credentialHeaders) {
      it(`Scope credential counts ${name}`, () => {
        const one = scope('credential', { headers: { [name]: 'one' } });
        expect(one).to.match(/^c/);
        expect(scope('credential', { headers: { [name]: 'two' } })).to.not.equal(one);
      });
    }

    it('Scope credential tells the same value in two headers apart', () => {
      expect(scope('credential', { headers: { 'api-key': 'k' } })).to.not.equal(
        scope('credential', { headers: { 'x-api-key': 'k' } }),
      );
    });

    it('Scope credential counts every header that carries a credential, not only the first', () => {
      const cookies = ['session=1', 'session=2'].map((cookie) =>
        scope('credential', { headers: { authorization: 'Bearer sk-1', cookie } }),
      );
      expect(new Set([...cookies, scope('credential', key1)])).to.have.length(3);
    });

    it('Scope credential counts every line of a header, and tells two lines from one that joins them', () => {
      const own = (cookie: string | string[]) => scope('credential', { ownHeaders: { cookie } });
      expect(new Set([own('a'), own(['a', 'b']), own(['b', 'a']), own('a, b')])).to.have.length(4);
    });

    it('Scope credential is what the client sent, not what a policy put in its place', () => {
      const headers = { authorization: "Bearer the-operator's" };
      const of = (own: string) =>
        scope('credential', { headers, ownHeaders: { authorization: own } });
      expect(of('Bearer sk-1')).to.not.equal(of('Bearer sk-2'));
      expect(scope('credential', { headers, ownHeaders: {} })).to.equal(null);
    });

    it('Scope credential finds the headers that the operator named, in any case and named twice', () => {
      const parts = { ownHeaders: { 'X-Team-Token': 't' } };
      const of = (...headers: string[]) =>
        scope('credential', parts, { credentialHeaders: headers });
      expect(of('x-team-token')).to.match(/^c/);
      expect(of('X-Team-Token')).to.equal(of('x-team-token'));
      expect(of('X-Team-Token', 'x-team-token')).to.equal(of('x-team-token'));
      expect(of('x-team-*')).to.equal(of('x-team-token'));
      expect(of('x-other')).to.equal(null);
    });

    it('Scope credential goes by the same names as auto, unless the operator lists the headers', () => {
      const headers = { 'x-litellm-api-key': 'k' };
      expect(scope('credential', { headers })).to.equal(scope('auto', { headers }));
      expect(scope('credential', { headers }, { credentialHeaders: ['x-tenant'] })).to.equal(null);
    });
  });

  it('Scope shared is one scope for all callers', () => {
    for (const parts of [{}, alice, key1]) expect(scope('shared', parts)).to.equal('shared');
  });

  it('The scope depends on the secret, and shows neither consumer nor credential', () => {
    for (const parts of [alice, key1]) {
      const settings = validate<LlmCacheSettings>(llmCacheSchema, {}, 'test');
      const own = scopeOf(makeRequest(parts), settings, digest);
      expect(own).to.not.match(/alice|sk-1/);
      expect(scopeOf(makeRequest(parts), settings, nodeDigest('another'))).to.not.equal(own);
    }
  });

  it('The scope keeps a consumer apart from a credential of the same text', () => {
    const consumer = scope('auto', asked({ id: 'x' }));
    expect(consumer?.slice(1)).to.not.equal(scope('auto', { headers: { cookie: 'x' } })?.slice(1));
  });
});
