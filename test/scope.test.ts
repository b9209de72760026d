import { expect } from 'chai';
import { consumerId } from '../policies/shared/consumer.ts';
import { nodeDigest } from '../policies/shared/node/digest.ts';
import { scopeOf } from '../policies/llm-cache/scope.ts';
import { llmCacheSchema, type LlmCacheSettings } from '../schemas/llm-cache.ts';
import { makeRequest, type RequestParts } from './support/llm-request.ts';

type Scope = LlmCacheSettings['scope'];

const digest = nodeDigest('a secret');
const credentialHeaders = llmCacheSchema.properties.credentialHeaders.default;

function scope(
  kind: Scope,
  parts: RequestParts = {},
  headers: readonly string[] = credentialHeaders,
) {
  return scopeOf(makeRequest(parts), { scope: kind, credentialHeaders: [...headers] }, digest);
}

const alice = { consumer: { id: 'alice' } };
const key1 = { headers: { authorization: 'Bearer sk-1' } };
const key2 = { headers: { authorization: 'Bearer sk-2' } };

describe('the scope of an entry', () => {
  describe('auto', () => {
    it('is the consumer where there is one, whatever credential came with it', () => {
      const own = scope('auto', alice);
      expect(own).to.match(/^u[\w-]{22}$/);
      expect(scope('auto', { ...alice, ...key1 })).to.equal(own);
      expect(scope('auto', { consumer: { id: 'bob' } })).to.not.equal(own);
    });

    it('is the credential where there is no consumer', () => {
      const own = scope('auto', key1);
      expect(own).to.match(/^c[\w-]{22}$/);
      expect(scope('auto', key2)).to.not.equal(own);
    });

    it('is one anonymous circle for all who bring neither', () => {
      expect(scope('auto')).to.equal('anonymous');
      expect(scope('auto', { headers: { 'x-other': '1' } })).to.equal('anonymous');
    });

    for (const consumer of [null, undefined, {}, { id: '' }, { id: null }, 'alice', ['alice']]) {
      it(`takes ${JSON.stringify(consumer)} for no consumer`, () => {
        expect(scope('auto', { consumer })).to.equal('anonymous');
        expect(scope('auto', { consumer, ...key1 })).to.equal(scope('auto', key1));
      });
    }
  });

  describe('consumer', () => {
    it('is the same circle as under auto', () => {
      expect(scope('consumer', alice)).to.equal(scope('auto', alice));
    });

    it('is none without a consumer, even with a credential', () => {
      expect(scope('consumer')).to.equal(null);
      expect(scope('consumer', key1)).to.equal(null);
      expect(scope('consumer', { consumer: { scope: 'read' }, ...key1 })).to.equal(null);
    });
  });

  describe('credential', () => {
    it('is the same for the same credential, whoever the consumer is', () => {
      expect(scope('credential', { ...alice, ...key1 })).to.equal(scope('credential', key1));
      expect(scope('credential', key1)).to.not.equal(scope('credential', key2));
    });

    it('is none without a credential', () => {
      expect(scope('credential', alice)).to.equal(null);
      expect(scope('credential', { headers: { authorization: '' } })).to.equal(null);
    });

    for (const name of credentialHeaders) {
      it(`counts ${name}`, () => {
        const one = scope('credential', { headers: { [name]: 'one' } });
        expect(one).to.match(/^c/);
        expect(scope('credential', { headers: { [name]: 'two' } })).to.not.equal(one);
      });
    }

    it('tells the same value in two headers apart', () => {
      expect(scope('credential', { headers: { 'api-key': 'k' } })).to.not.equal(
        scope('credential', { headers: { 'x-api-key': 'k' } }),
      );
    });

    it('counts every header that carries a credential, not the first alone', () => {
      const cookies = ['session=1', 'session=2'].map((cookie) =>
        scope('credential', { headers: { authorization: 'Bearer sk-1', cookie } }),
      );
      expect(new Set([...cookies, scope('credential', key1)])).to.have.length(3);
    });

    it('counts every line of a header, and keeps two lines apart from one that joins them', () => {
      const own = (cookie: string | string[]) => scope('credential', { ownHeaders: { cookie } });
      expect(new Set([own('a'), own(['a', 'b']), own(['b', 'a']), own('a, b')])).to.have.length(4);
    });

    it('is what the client sent, not what a policy put in its place for the upstream', () => {
      const headers = { authorization: "Bearer the-operator's" };
      const of = (own: string) =>
        scope('credential', { headers, ownHeaders: { authorization: own } });
      expect(of('Bearer sk-1')).to.not.equal(of('Bearer sk-2'));
      expect(scope('credential', { headers, ownHeaders: {} })).to.equal(null);
    });

    it('finds the headers that the operator named, in any case and named twice', () => {
      const parts = { ownHeaders: { 'X-Team-Token': 't' } };
      const once = scope('credential', parts, ['x-team-token']);
      expect(once).to.match(/^c/);
      expect(scope('credential', parts, ['X-Team-Token'])).to.equal(once);
      expect(scope('credential', parts, ['X-Team-Token', 'x-team-token'])).to.equal(once);
      expect(scope('credential', parts)).to.equal(null);
    });
  });

  it('shared is one circle for everybody', () => {
    for (const parts of [{}, alice, key1]) expect(scope('shared', parts)).to.equal('shared');
  });

  it('depends on the secret, and shows neither consumer nor credential', () => {
    for (const parts of [alice, key1]) {
      const settings = { scope: 'auto' as const, credentialHeaders: [...credentialHeaders] };
      const own = scopeOf(makeRequest(parts), settings, digest);
      expect(own).to.not.match(/alice|sk-1/);
      expect(scopeOf(makeRequest(parts), settings, nodeDigest('another'))).to.not.equal(own);
    }
  });

  it('keeps a consumer apart from a credential of the same text', () => {
    const consumer = scope('auto', { consumer: { id: 'x' } });
    expect(consumer?.slice(1)).to.not.equal(scope('auto', { headers: { cookie: 'x' } })?.slice(1));
  });
});

describe('the id of a consumer', () => {
  const id = (consumer: unknown) => consumerId(consumer, digest);

  it('is its own, a number as its digits', () => {
    expect(id({ id: 'alice', sub: 'other', username: 'other' })).to.equal('alice');
    expect(id({ id: 7 })).to.equal('7');
    expect(id({ id: 0 })).to.equal('0');
  });

  it('is for a bare token a digest of issuer and subject, whatever else it says', () => {
    const token = { iss: 'https://a', sub: 's', client_id: 'c', username: 'u', exp: 1 };
    const own = id(token);
    expect(own).to.match(/^[\w-]{22}$/);
    expect(id({ ...token, client_id: 'd', username: 'v', exp: 2 })).to.equal(own);
    expect(id({ ...token, iss: 'https://b' })).to.not.equal(own);
    expect(id({ ...token, sub: 't' })).to.not.equal(own);
  });

  it('falls back to client_id, then to username, each apart from the others', () => {
    const bySub = id({ sub: 'x' });
    const byClient = id({ client_id: 'x', username: 'u' });
    const byName = id({ username: 'x' });
    expect(byClient).to.equal(id({ client_id: 'x' }));
    expect(new Set([bySub, byClient, byName, null])).to.have.length(4);
  });

  it('cannot be forged by shifting text between issuer and subject', () => {
    expect(id({ iss: 'a', sub: 'bc' })).to.not.equal(id({ iss: 'ab', sub: 'c' }));
    expect(id({ iss: 'a","b', sub: 'c' })).to.not.equal(id({ iss: 'a', sub: 'b","c' }));
  });

  it('is null where nothing identifies anybody', () => {
    for (const nobody of [undefined, null, 'alice', 7, [], {}, { id: '', sub: '' }, { sub: {} }]) {
      expect(id(nobody), JSON.stringify(nobody)).to.equal(null);
    }
  });
});
