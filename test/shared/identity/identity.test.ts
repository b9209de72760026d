import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  applicationIdentity,
  consumerId,
  gatewayIdentity,
  type Identity,
  isKnown,
} from '../../../policies/shared/identity/identity.ts';
import { nodeDigest } from '../../../policies/hosts/node/digest.ts';

const digest = nodeDigest('a secret');

/** As MongoDB's driver has it. */
class ObjectId {
  readonly #hex: string;
  constructor(hex: string) {
    this.#hex = hex;
  }
  toHexString(): string {
    return this.#hex;
  }
}
class Uuid {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  toString(): string {
    return this.#text;
  }
}
class Cuid {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  toJSON(): string {
    return this.#text;
  }
}
/** As an object mapper has it: its members are getters of its class. */
class Account {
  readonly #row: Readonly<Record<string, unknown>>;
  constructor(row: Readonly<Record<string, unknown>>) {
    this.#row = row;
  }
  get id(): unknown {
    return this.#row['id'];
  }
  get tenantId(): unknown {
    return this.#row['tenantId'];
  }
}

const textOf = (identity: Identity) => (isKnown(identity) ? identity.text : null);

for (const [host, identify] of Object.entries({
  'a gateway': gatewayIdentity,
  'an application': applicationIdentity,
})) {
  /** Fails unless each is told from all others. */
  const expectApart = (...consumers: unknown[]) => {
    const texts = consumers.map((consumer) => textOf(identify(consumer)));
    expect(texts).to.not.include(null);
    expect(new Set(texts)).to.have.length(consumers.length);
  };
  const expectSame = (one: unknown, other: unknown) => {
    expect(textOf(identify(one)))
      .to.be.a('string')
      .and.to.equal(textOf(identify(other)));
  };

  describe(`The identity of a consumer of ${host}`, () => {
    it(`The identity of a consumer of ${host} is none without a consumer`, () => {
      for (const nobody of [undefined, null, false, '']) expect(identify(nobody)).to.equal('none');
    });

    it(`The identity of a consumer of ${host} is its id, whatever else the object has`, () => {
      expectSame('alice', { id: 'alice' });
      expectSame({ id: 'alice', email: 'a@b' }, { id: 'alice', email: 'c@d', username: 'x' });
      expectApart({ id: 'alice' }, { id: 'bob' }, { sub: 'alice' });
    });

    it(`The identity of a consumer of ${host} differs for ids that only look the same`, () => {
      const ids = [1, '1', 1n, '1n', 1.5, new Uuid('1'), new Cuid('1'), new ObjectId('1')];
      expectApart(...ids.map((id) => ({ id })));
      expectApart(1, '1', 1n, '1n');
      expectApart({ id: 0 }, { id: '0' }, { id: '' + Number.MAX_SAFE_INTEGER });
    });

    it(`The identity of a consumer of ${host} reads ids of any readable type, beside equal weaker claims`, () => {
      const same = { client_id: 'web', username: 'admin' };
      for (const of of [
        (n: number) => BigInt(n),
        (n: number) => new ObjectId(`a${n}`),
        (n: number) => new Uuid(`a${n}`),
        (n: number) => new Cuid(`a${n}`),
        (n: number) => Buffer.from([n]),
        (n: number) => new Date(n),
        (n: number) => ({ $oid: `a${n}` }),
        (n: number) => ['a', n],
      ]) {
        for (const name of ['id', 'sub']) {
          expectApart({ ...same, [name]: of(1) }, { ...same, [name]: of(2) });
          expectSame({ ...same, [name]: of(1) }, { ...same, [name]: of(1) });
        }
      }
    });

    it(`The identity of a consumer of ${host} is unreadable for an ambiguous id, and takes no weaker claim`, () => {
      const thrower = {
        get id(): string {
          throw new Error('no');
        },
      };
      const hostile = { toString: () => ({}), toJSON: () => undefined };
      const endless = { toJSON: () => endless };
      const circle: Record<string, unknown> = {};
      circle['own'] = circle;
      for (const id of [
        '',
        Number.NaN,
        Infinity,
        2 ** 53,
        -(2 ** 53),
        1e300,
        2n ** 5000n,
        true,
        {},
        [],
        Symbol('a'),
        () => 'a',
        new Map([['a', 1]]),
        new Set(['a']),
        new Date(Number.NaN),
        new Uuid(''),
        new Uuid('[object User]'),
        Promise.resolve('a'),
        Buffer.alloc(2000),
        'x'.repeat(20_000),
        hostile,
        endless,
        circle,
      ]) {
        const consumer = { id, client_id: 'web', username: 'admin' };
        expect(identify(consumer), typeof id).to.equal('unreadable');
      }
      expect(identify({ id: 'ok', sub: Number.NaN })).to.equal('unreadable');
      for (const consumer of [thrower, Number.NaN, Symbol('a'), () => 'a', ['alice'], true]) {
        expect(identify(consumer)).to.equal('unreadable');
      }
    });

    it(`The identity of a consumer of ${host} covers the issuer and every tenant, but not the audience`, () => {
      for (const name of [
        'iss',
        'issuer',
        'tid',
        'tenant',
        'tenant_id',
        'tenantId',
        'org',
        'org_id',
        'orgId',
        'organizationId',
        'account_id',
        'workspace',
        'realm',
        'company',
        'hd',
        'custom:tenant_id',
        'https://app.example/org_id',
        'urn:zitadel:iam:org:id',
        // Two providers' users may have one id (Passport).
        'provider',
        'idp',
      ]) {
        for (const base of [{ id: 'u' }, { sub: 'u' }, { client_id: 'u' }, { username: 'u' }]) {
          expectApart(base, { ...base, [name]: 'a' }, { ...base, [name]: 'b' });
        }
      }
      expectApart({ sub: 'u', firebase: { tenant: 'a' } }, { sub: 'u', firebase: { tenant: 'b' } });
      expectSame({ sub: 'u', aud: 'a' }, { sub: 'u', aud: ['b'] });
      expectSame({ sub: 'u', tid: null, iss: undefined }, { sub: 'u' });
      expect(identify({ sub: 'u', tid: Number.NaN })).to.equal('unreadable');
    });

    it(`The identity of a consumer of ${host} reads getters and inherited members`, () => {
      const of = (id: unknown, tenantId?: unknown) => new Account({ id, tenantId });
      expectApart(of('1'), of('2'), of('1', 'a'), of('1', 'b'));
      const inheriting = (id: string) => Object.create({ id }) as object;
      expectApart(inheriting('a'), inheriting('b'));
      expect(identify(of(undefined))).to.not.be.an('object');
    });

    it(`The identity of a consumer of ${host} does not depend on the order of members`, () => {
      expectSame({ id: '1', org: 'a', tid: 'b' }, { tid: 'b', org: 'a', id: '1' });
      expectSame({ client_id: 'a', tid: { a: 1, b: 2 } }, { tid: { b: 2, a: 1 }, client_id: 'a' });
    });

    it(`The identity of a consumer of ${host} cannot be forged by shifting text between members`, () => {
      expectApart({ iss: 'a', sub: 'bc' }, { iss: 'ab', sub: 'c' });
      expectApart({ iss: 'a"\n"sub"="b', sub: 'c' }, { iss: 'a', sub: 'b"\n"sub"="c' });
      expectApart({ sub: 'a', 'org"="x"\n"tid': 'b' }, { sub: 'a', org: 'x', tid: 'b' });
    });

    const ids = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.maxSafeInteger(),
      fc.bigInt(),
      fc.uuid().map((text) => new ObjectId(text)),
      fc.uuid().map((text) => new Uuid(text)),
    );
    const naming = 'id sub iss tid tenant org org_id client_id username'.split(' ');

    it(`The identity of a consumer of ${host} is never shared by two that differ in a naming member`, () => {
      fc.assert(
        fc.property(
          fc.dictionary(fc.constantFrom(...naming), ids, { minKeys: 1, noNullPrototype: true }),
          fc.constantFrom(...naming),
          ids,
          ids,
          (rest, name, one, other) => {
            const { id, sub } = rest;
            // Beside an id or a subject these name nobody else.
            const isWeak = name === 'client_id' || name === 'username';
            if (isWeak && (id ?? sub) !== undefined) return;
            const [a, b] = [one, other].map((value) => identify({ ...rest, [name]: value }));
            const isSame = textOf(identify({ id: one })) === textOf(identify({ id: other }));
            if (isSame || typeof a !== 'object') expect(a).to.deep.equal(b);
            else expect(a).to.not.deep.equal(b);
          },
        ),
      );
    });
  });
}

describe('The identity of a token without a consumer', () => {
  const id = (payload: unknown) => consumerId(gatewayIdentity(payload), digest);

  it('The identity of a token is its issuer and subject, whatever else it says', () => {
    const token = { iss: 'https://a', sub: 's', client_id: 'c', username: 'u', exp: 1 };
    expect(id(token)).to.match(/^[\w-]{22}$/);
    expect(id({ ...token, client_id: 'd', username: 'v', exp: 2 })).to.equal(id(token));
    expect(id({ ...token, iss: 'https://b' })).to.not.equal(id(token));
    expect(id({ ...token, sub: 't' })).to.not.equal(id(token));
  });

  it('The identity of a token without a subject is all it says of client and user', () => {
    const token = { client_id: 'web', username: 'ann', exp: 1, iat: 1, jti: 'a', scope: 'read' };
    expect(id({ ...token, exp: 2, iat: 2, jti: 'b', scope: 'write' })).to.equal(id(token));
    expect(id({ ...token, username: 'bob' })).to.not.equal(id(token));
    expect(id({ ...token, email: 'ann@a' })).to.not.equal(id(token));
    expect(id({ client_id: 'web' })).to.not.equal(id({ username: 'web' }));
  });

  it('The identity of a token without client and user is its claims, and unreadable if a name is empty', () => {
    expect(gatewayIdentity({})).to.equal('none');
    for (const payload of [{ scope: 'read', exp: 1 }, { email: 'a@b' }, { tenant: 'a' }]) {
      expect(gatewayIdentity(payload)).to.have.all.keys('claims');
      expect(id(payload)).to.equal(null);
    }
    expect(gatewayIdentity({ client_id: '' })).to.equal('unreadable');
    expect(gatewayIdentity({ score: Number.NaN })).to.equal('unreadable');
  });
});

describe('The identity of an object without an id', () => {
  const apart = (one: unknown, other: unknown) => {
    const [a, b] = [one, other].map((consumer) => textOf(applicationIdentity(consumer)));
    expect(a).to.be.a('string');
    expect(b).to.be.a('string').and.to.not.equal(a);
  };

  it('The identity of an object without an id is all of the object', () => {
    apart({ _id: new ObjectId('a'), username: 'u' }, { _id: new ObjectId('b'), username: 'u' });
    apart({ user_id: 'a', username: 'u' }, { user_id: 'b', username: 'u' });
    apart({ nameID: 'a', deep: { er: [1, 2] } }, { nameID: 'a', deep: { er: [1, 3] } });
    const turned = { b: { d: 1, c: 2 }, a: 1 };
    expect(applicationIdentity({ a: 1, b: { c: 2, d: 1 } })).to.deep.equal(
      applicationIdentity(turned),
    );
  });

  it('The identity of an object without an id is unreadable where not all of it is visible', () => {
    class Hidden {
      readonly role = 'user';
      readonly #mail: string;
      constructor(mail: string) {
        this.#mail = mail;
      }
      mail(): string {
        return this.#mail;
      }
    }
    class Shy extends Hidden {
      toJSON(): object {
        return { role: this.role };
      }
      readonly secret = () => this.mail();
    }
    for (const consumer of [
      {},
      Object.create(null),
      new Hidden('a@b'),
      new Shy('a@b'),
      { role: 'user', mail: () => 'a@b' },
      { name: Symbol('a') },
      { score: Number.NaN },
      { user: new Map([['id', 'a']]) },
      { bytes: Buffer.alloc(5000) },
      Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`m${at}`, at])),
      Promise.resolve({ id: 'a' }),
    ]) {
      expect(applicationIdentity(consumer)).to.equal('unreadable');
    }
  });

  it('The identity of an object without an id is never shared by two that differ in a member', () => {
    const objects = fc.dictionary(fc.string(), fc.jsonValue(), {
      minKeys: 1,
      noNullPrototype: true,
    });
    fc.assert(
      fc.property(objects, fc.string(), fc.jsonValue(), (object, name, value) => {
        const { id: _id, sub: _sub, ...one } = object;
        const other = { ...one, [name]: value };
        const [a, b] = [one, other].map((consumer) => textOf(applicationIdentity(consumer)));
        if (a === null || b === null || name === 'id' || name === 'sub') return;
        const isSame = name in one && sameJson(one[name], value);
        expect(a === b).to.equal(isSame);
      }),
    );
  });
});

/** Equal as JSON, in whatever order the members stand. */
function sameJson(one: unknown, other: unknown): boolean {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
    const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return members.map(([name, member]) => [name, sorted(member)]);
  };
  const tagged = (value: unknown) =>
    JSON.stringify([Array.isArray(value), typeof value, sorted(value)]);
  return tagged(one) === tagged(other);
}

describe('The consumer id in the records', () => {
  const id = (consumer: unknown) => consumerId(applicationIdentity(consumer), digest);

  it("The consumer id in a record is the consumer's own, a number as its digits", () => {
    expect(id({ id: 'alice', email: 'a@b' })).to.equal('alice');
    expect(id('alice')).to.equal('alice');
    expect([id({ id: 7 }), id({ id: 0 }), id(7n)]).to.deep.equal(['7', '0', '7']);
  });

  it('The consumer id in a record is a digest where the id alone is ambiguous or too long', () => {
    for (const consumer of [
      { id: 'alice', tenant: 'a' },
      { id: 'alice', iss: 'https://a' },
      { id: 'alice', sub: 's' },
      { id: new ObjectId('a') },
      { sub: 's' },
      { email: 'a@b' },
      'x'.repeat(300),
    ]) {
      expect(id(consumer)).to.match(/^[\w-]{22}$/);
    }
    expect(id({ id: 'alice', tenant: 'a' })).to.not.equal(id({ id: 'alice', tenant: 'b' }));
  });

  it('The consumer id in a record is null without a consumer, and for an ambiguous one', () => {
    for (const consumer of [undefined, null, Number.NaN, {}]) expect(id(consumer)).to.equal(null);
  });
});
