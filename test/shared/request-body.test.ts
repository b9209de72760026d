import { expect } from 'chai';
import * as fc from 'fast-check';
import { nodeReading } from '../../policies/hosts/node/body.ts';
import type { KnownDigest } from '../../policies/llm-cache/key.ts';
import { nodeDigest } from '../../policies/hosts/node/digest.ts';
import { JsonScan } from '../../policies/shared/json/json-scan.ts';
import { findProtocol } from '../../policies/shared/protocols/index.ts';
import type { Protocol } from '../../policies/shared/protocols/protocol.ts';
import { Recent } from '../../policies/shared/recent.ts';
import { BodyMemory, RequestBody } from '../../policies/shared/request-body.ts';
import { llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { validate } from '../../schemas/validate.ts';
import { keyOfBody, makeBody, makeRequest, now } from '../support/llm-request.ts';

const digest = nodeDigest('a secret');
const settings = validate<LlmCacheSettings>(llmCacheSchema, { ignoreFields: ['user'] }, 'test');
const chat = findProtocol('/v1/chat/completions') as Protocol;
const messages = findProtocol('/v1/messages') as Protocol;
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Runs `run` where no body can be read. */
function withoutReading<T>(run: () => T): T {
  const { step } = JsonScan.prototype;
  JsonScan.prototype.step = () => {
    throw new Error('something was read');
  };
  try {
    return run();
  } finally {
    JsonScan.prototype.step = step;
  }
}

describe('A request body that was seen before', () => {
  let memory: BodyMemory;
  let remembered: Recent<KnownDigest>;
  beforeEach(() => {
    memory = new BodyMemory();
    remembered = new Recent(100);
  });
  const seenBytes = (bytes: Uint8Array) => new RequestBody([bytes], { ...nodeReading, memory });
  const seen = (text: string) => seenBytes(bytesOf(text));
  const factsOf = (body: RequestBody, protocol = chat) =>
    now(body.facts({ protocol, path: '/v1/chat/completions', query: '' }));
  function keyOf(body: RequestBody, path = '/v1/chat/completions'): string {
    const making = { settings, digest, remembered, forwardsHost: () => false };
    return keyOfBody(makeRequest({ path }), body, 'anonymous', making).key;
  }

  it('A known body is not parsed again for its facts or its key', () => {
    const text = '{"model":"m","stream":true,"max_tokens":5,"messages":[]}';
    const facts = factsOf(seen(text));
    expect(facts).to.deep.equal({
      problem: null,
      length: text.length,
      model: 'm',
      isStream: true,
      isStateful: false,
      setsLimit: true,
      parts: 1,
    });
    const key = keyOf(seen(text));
    withoutReading(() => {
      expect(factsOf(seen(text))).to.equal(facts);
      expect(keyOf(seen(text))).to.equal(key);
      expect(() => factsOf(seen(`${text} `))).to.throw('something was read');
    });
  });

  it('A known body is known to be no JSON or no UTF-8', () => {
    for (const [bytes, problem] of [
      [bytesOf('{"a":'), 'not-json'],
      [Uint8Array.of(0xff, 0x7b), 'not-utf8'],
    ] as const) {
      for (const _ of [1, 2]) {
        expect(factsOf(seenBytes(bytes)).problem).to.equal(problem);
      }
    }
  });

  it('A known body has other facts and another key in another protocol', () => {
    const text = '{"model":"m","container":"c","stream":false}';
    expect(factsOf(seen(text)).isStateful).to.equal(false);
    expect(factsOf(seen(text), messages).isStateful).to.equal(true);
    expect(keyOf(seen(text), '/v1/messages')).to.not.equal(keyOf(seen(text)));
  });

  it('A known body has the same key as a fresh one', () => {
    const fresh = (text: string) => {
      const making = { settings, digest, forwardsHost: () => false };
      return keyOfBody(makeRequest(), makeBody(text), 'anonymous', making).key;
    };
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.boolean(), (members, stream) => {
        const text = JSON.stringify({ ...members, stream });
        for (const _ of [1, 2]) expect(keyOf(seen(text))).to.equal(fresh(text));
      }),
    );
  });

  it('A long body that was seen before is known in whatever pieces it comes, and no other is', () => {
    const text = `{"model":"m","messages":[{"role":"user","content":"${'x'.repeat(100_000)}"}]}`;
    const bytes = bytesOf(text);
    const inPieces = (from: Uint8Array, size: number) => {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < from.length; at += size) chunks.push(from.subarray(at, at + size));
      return new RequestBody(chunks, { ...nodeReading, memory });
    };
    const facts = factsOf(inPieces(bytes, 1000));
    const other = Uint8Array.from(bytes);
    other[70_000] = 0x79;
    withoutReading(() => {
      for (const size of [1, 17, 65_536, bytes.length]) {
        expect(factsOf(inPieces(bytes, size))).to.equal(facts);
        expect(() => factsOf(inPieces(other, size))).to.throw('something was read');
      }
    });
  });
});

describe('The memory of recent values', () => {
  it('The memory of recent values is bounded to the newest and those asked for', () => {
    const recent = new Recent<number>(10);
    for (let at = 0; at < 1000; at++) {
      recent.set(`key ${at}`, at);
      expect(recent.get('key 0')).to.equal(0);
    }
    expect(recent.get('key 999')).to.equal(999);
    const kept = Array.from({ length: 1000 }, (_, at) => recent.get(`key ${at}`));
    expect(kept.filter((one) => one !== undefined).length).to.be.at.most(10);
  });

  it('The memory of recent values replaces a value', () => {
    const recent = new Recent<number>(10);
    recent.set('a', 1);
    recent.set('a', 2);
    expect(recent.get('a')).to.equal(2);
  });
});
