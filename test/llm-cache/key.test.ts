import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { nodeReading } from '../../policies/hosts/node/body.ts';
import { nodeDigest } from '../../policies/hosts/node/digest.ts';
import type { KnownDigest } from '../../policies/llm-cache/key.ts';
import { llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { validate } from '../../schemas/validate.ts';
import { Recent } from '../../policies/shared/recent.ts';
import { RequestBody } from '../../policies/shared/request-body.ts';
import { keyOfBody, makeBody, makeRequest, type RequestParts } from '../support/llm-request.ts';

const digest = nodeDigest('a secret');
const chat = '/v1/chat/completions';

interface Asked extends RequestParts {
  readonly scope?: string;
  readonly forwardsHost?: boolean;
  readonly action?: Partial<LlmCacheSettings>;
}

function keyOf(body: unknown, asked: Asked = {}): string {
  const { scope = 'anonymous', action = {}, forwardsHost = false, ...parts } = asked;
  const settings = validate<LlmCacheSettings>(llmCacheSchema, action, 'test');
  const making = { settings, digest, forwardsHost: () => forwardsHost };
  return keyOfBody(makeRequest(parts), makeBody(body), scope, making).key;
}

/** Fails unless all are one key. */
function expectSame(...keys: string[]): void {
  expect(new Set(keys)).to.have.length(1);
}

/** Fails unless each two are apart. */
function expectApart(...keys: string[]): void {
  expect(new Set(keys)).to.have.length(keys.length);
}

/** The keys of the same bytes at several targets, with what is remembered of the one for the next. */
function keysAt(text: string, targets: readonly RequestParts[]): string[] {
  const settings = validate<LlmCacheSettings>(llmCacheSchema, {}, 'test');
  const remembered = new Recent<KnownDigest>(100);
  const making = { settings, digest, forwardsHost: () => false, remembered };
  return targets.map((target) => {
    const body = new RequestBody([new TextEncoder().encode(text)], nodeReading);
    return keyOfBody(makeRequest(target), body, 'anonymous', making).key;
  });
}

describe('The cache key', () => {
  it('The cache key stays the same from release to release, for what is stored is found by it', () => {
    const content = '\\u00e9, and a text that is longer than what stands for itself in the key';
    const asked = { query: '?api-version=1', headers: { 'openai-beta': 'x' }, scope: 'shared' };
    const streamed =
      '{"stream":true,"stream_options":{"include_usage":true},"model":"m","seed":1e2,' +
      `"messages":[{"role":"user","content":"${content}"}]}`;
    expect([
      keyOf('{"model":"m","messages":[{"role":"user","content":"a"}],"n":1}'),
      keyOf(streamed, asked),
      keyOf('{"a":1,"a":2}'),
    ]).to.deep.equal([
      'openai:anonymous:CgOdDhOmZEd0AU1EqthJzPS0Rr1IAJZnRvPwTQIjapw',
      'openai:shared:UinX46DFkaHJhcMIeccsO7TR_d9RTjMxRRmHR3k0c9I',
      'openai:anonymous:uUkzhPcEZkOdmyt3fLyxucsG4oYH-f4vve41jroMCuk',
    ]);
  });

  describe('The body', () => {
    it('The cache key ignores the order of members, at any depth, and white space', () => {
      expectSame(
        keyOf('{"model":"m","messages":[{"role":"user","content":"a"}],"n":1}'),
        keyOf('{ "n": 1,\n "messages": [ {"content": "a", "role": "user"} ],\t"model": "m" }\r\n'),
      );
    });

    it('The cache key depends on the order of items', () => {
      expectApart(keyOf({ input: ['a', 'b'] }), keyOf({ input: ['b', 'a'] }));
    });

    it('The cache key takes numbers by value', () => {
      expectSame(keyOf('{"n":1}'), keyOf('{"n":1.0}'), keyOf('{"n":10e-1}'), keyOf('{"n":0.1E+1}'));
      expectSame(keyOf('{"n":0}'), keyOf('{"n":-0}'), keyOf('{"n":0e9}'));
    });

    it('The cache key keeps apart numbers that are one double', () => {
      expectApart(
        keyOf('{"seed":9007199254740992}'),
        keyOf('{"seed":9007199254740993}'),
        keyOf('{"seed":1e400}'),
        keyOf('{"seed":1e401}'),
        keyOf('{"seed":-1e400}'),
      );
    });

    it('The cache key takes strings by code unit, however they are spelt', () => {
      expectSame(keyOf('{"a/b":"é\\n"}'), keyOf('{"a\\/b":"\\u00e9\\u000a"}'));
      expectApart(keyOf('{"a":"\\u00e9"}'), keyOf('{"a":"e\\u0301"}'));
      expectApart(keyOf('{"a":"\\ud83d"}'), keyOf('{"a":"\\ude00"}'), keyOf('{"a":"\\ufffd"}'));
    });

    it('The cache key tells the types of values apart', () => {
      const values = [null, true, false, 0, 1, '', '1', 'true', 'null', [], {}, [null], [[]]];
      expectApart(keyOf({}), ...values.map((value) => keyOf({ value })));
    });

    it('The cache key covers the raw bytes where a member comes twice, at any depth', () => {
      for (const twice of ['{"n":1,"n":2}', '{"a":[{"n":1,"n":2}]}', '{"n":1,"\\u006e":2}']) {
        expectApart(keyOf(twice), keyOf(twice.replace(':1,', ': 1,')), keyOf(JSON.parse(twice)));
        expectSame(keyOf(twice), keyOf(twice));
      }
    });

    it('The cache key covers members with the names of built-in properties', () => {
      const names = ['__proto__', 'constructor', 'toString', 'a'];
      expectApart(keyOf({}), ...names.map((name) => keyOf(`{${JSON.stringify(name)}:1}`)));
    });
  });

  describe('The stream mode', () => {
    it('The cache key is the same for stream absent, false and null', () => {
      expectSame(keyOf({ n: 1 }), keyOf({ n: 1, stream: false }), keyOf({ n: 1, stream: null }));
    });

    it('The cache key keeps a stream and a JSON answer apart', () => {
      expectApart(keyOf({ stream: true }), keyOf({ stream: false }));
    });

    it('The cache key keeps apart stream members that are not booleans', () => {
      const odd = [1, 0, 'true', 'false', '', [], {}];
      expectApart(keyOf({}), keyOf({ stream: true }), ...odd.map((stream) => keyOf({ stream })));
    });

    it('The cache key covers stream_options only when streaming', () => {
      const options = { include_usage: true };
      expectSame(keyOf({}), keyOf({ stream_options: options }), keyOf({ stream_options: null }));
      expectApart(keyOf({ stream: true }), keyOf({ stream: true, stream_options: options }));
    });

    it('The cache key takes include_usage false and empty options for no stream_options', () => {
      const plain = keyOf({ stream: true });
      expectSame(
        plain,
        keyOf({ stream: true, stream_options: { include_usage: false } }),
        keyOf({ stream: true, stream_options: {} }),
      );
      expectSame(
        keyOf({ stream: true, stream_options: { other: 1 } }),
        keyOf({ stream: true, stream_options: { include_usage: false, other: 1 } }),
      );
      expectApart(plain, keyOf({ stream: true, stream_options: { other: 1 } }));
    });

    it('The cache key covers a stream member where the protocol has no streams', () => {
      const path = '/v1/embeddings';
      expectApart(keyOf({ input: 'a' }, { path }), keyOf({ input: 'a', stream: true }, { path }));
    });

    it('The cache key of the same bytes does not depend on the mode in which they came before', () => {
      const path = '/v1beta/models/m:streamGenerateContent';
      const [stream, list] = [{ path, query: '?alt=sse' }, { path }];
      for (const text of ['{"contents":[],"stream":true}', '{"contents":[]}']) {
        const [, afterStream] = keysAt(text, [stream, list]);
        expect(keysAt(text, [list])).to.deep.equal([afterStream]);
        const [, afterList] = keysAt(text, [list, stream]);
        expect(keysAt(text, [stream])).to.deep.equal([afterList]);
      }
    });

    it('The cache key tells the stream mode apart in a body with a member twice', () => {
      expectApart(keyOf('{"n":1,"n":1,"stream":true}'), keyOf('{"n":1,"n":1,"stream":false}'));
    });
  });

  describe('ignoreFields', () => {
    const action = { ignoreFields: ['user', 'metadata'] };

    it('The cache key leaves the members in ignoreFields out', () => {
      expectSame(
        keyOf({ n: 1 }, { action }),
        keyOf({ n: 1, user: 'a' }, { action }),
        keyOf({ metadata: { deep: [1] }, user: 'b', n: 1 }, { action }),
      );
    });

    it('The cache key leaves ignored members out by full name, and only at the top level', () => {
      expectApart(
        keyOf({ a: {} }, { action }),
        keyOf({ a: { user: 1 } }, { action }),
        keyOf({ a: {}, user2: 1 }, { action }),
        keyOf({ a: {}, User: 1 }, { action }),
      );
    });

    it('The cache key keeps the stream mode though stream is in ignoreFields', () => {
      const ignored = { ignoreFields: ['stream'] };
      expectApart(keyOf({ stream: true }, { action: ignored }), keyOf({}, { action: ignored }));
    });

    it('The cache key covers every member by default', () => {
      expectApart(keyOf({}), keyOf({ user: 'a' }), keyOf({ user: 'b' }), keyOf({ metadata: {} }));
    });
  });

  describe('The rest of the request', () => {
    it('The cache key depends on the path, and with it the protocol', () => {
      const paths = [chat, '/v2/chat/completions', '/v1/completions', '/v1/responses'];
      expectApart(...paths.map((path) => keyOf({}, { path, forwardedUrl: '/same' })));
    });

    it('The cache key depends on the query that the client sent', () => {
      const queries = ['', '?', '?api-version=1', '?api-version=2'];
      expectApart(...queries.map((query) => keyOf({}, { query, forwardedUrl: '/same' })));
    });

    it('The cache key depends on every byte of path and query, however they are escaped', () => {
      expectApart(
        ...['', '?a=b', '?a=%62', '?a=b&', '?A=b'].map((query) => keyOf({}, { query })),
        ...['/v1/%63hat/completions', '//v1/chat/completions'].map((path) => keyOf({}, { path })),
      );
    });

    it('The cache key depends on the url that will be forwarded', () => {
      expectApart(
        keyOf({}),
        keyOf({}, { forwardedUrl: '/chat/completions' }),
        keyOf({}, { forwardedUrl: '/chat/completions?x=1' }),
      );
    });

    it('The cache key cannot be matched by shifting text between path, query and forwarded url', () => {
      expectApart(
        keyOf({}, { path: chat, query: '', forwardedUrl: '?x' }),
        keyOf({}, { path: chat, query: '?x', forwardedUrl: '' }),
      );
    });

    for (const name of llmCacheSchema.properties.varyHeaders.default) {
      it(`The cache key depends on the header ${name}, present, absent or empty`, () => {
        expectApart(
          keyOf({}),
          keyOf({}, { headers: { [name]: '' } }),
          keyOf({}, { headers: { [name]: 'a' } }),
          keyOf({}, { headers: { [name]: 'b' } }),
        );
      });
    }

    it('The cache key depends on vary headers as they will be forwarded, in any case', () => {
      const ownHeaders = { 'openai-beta': 'a' };
      expectSame(
        keyOf({}, { headers: { 'openai-beta': 'z' }, ownHeaders }),
        keyOf({}, { headers: { 'OpenAI-Beta': 'z' } }),
      );
    });

    it("The cache key depends on the operator's varyHeaders, in any case and order, or by prefix", () => {
      const headers = { 'x-tier': 'a', 'x-region': 'b' };
      const of = (...varyHeaders: string[]) => keyOf({}, { headers, action: { varyHeaders } });
      expectSame(of('X-Tier', 'x-region'), of('x-region', 'x-tier', 'X-TIER'), of('x-*'));
      expectApart(of('x-tier'), of('x-region'), of());
      expectApart(
        of('x-tier', 'x-region'),
        keyOf(
          {},
          {
            headers: { 'x-tier': 'b', 'x-region': 'a' },
            action: { varyHeaders: ['x-tier', 'x-region'] },
          },
        ),
      );
    });

    for (const name of [
      'x-portkey-provider',
      'x-portkey-virtual-key',
      'x-portkey-config',
      'x-portkey-metadata',
      'helicone-target-url',
      'helicone-fallbacks',
      'cf-aig-cache-key',
      'cf-aig-authorization',
      'x-bf-vk',
      'x-bf-eh-anything',
      'x-litellm-tags',
      'x-litellm-api-base',
      'x-dashscope-sse',
      'x-amzn-bedrock-guardrailidentifier',
      'x-vertex-ai-llm-request-type',
      'x-ai-eg-model',
      'x-tfy-metadata',
      'azureml-model-deployment',
      'x-target-url',
      'x-upstream',
      'x-model-provider',
      'x-openai-base-url',
      'x-api-version',
      'x-goog-request-params',
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-forwarded-prefix',
      'x-original-url',
      'x-rewrite-url',
      'x-http-host-override',
      'prefer',
    ]) {
      it(`The cache key depends on the header ${name} whatever varyHeaders says, unless it is ignored`, () => {
        const of = (value: string, action = {}) =>
          keyOf({}, { headers: { [name]: value }, action });
        expectApart(keyOf({}), of('a'), of('b'));
        expectApart(of('a', { varyHeaders: [] }), of('b', { varyHeaders: [] }));
        expectSame(keyOf({}), of('a', { ignoreHeaders: [name.toUpperCase()] }));
      });
    }

    it('The cache key ignores headers that are new for each request, or only describe it', () => {
      const headers = Object.fromEntries(
        [
          'x-request-id',
          'idempotency-key',
          'traceparent',
          'x-stainless-retry-count',
          'x-portkey-trace-id',
          'x-portkey-span-id',
          'x-litellm-trace-id',
          'x-litellm-call-id',
          'helicone-request-id',
          'helicone-property-environment',
          'x-litellm-spend-logs-metadata',
          'x-bf-prom-team',
          'x-bf-maxim-generation-id',
          'user-agent',
          'sec-ch-ua-model',
          'x-forwarded-for',
          'accept-language',
          'accept-encoding',
        ].map((name) => [name, 'a']),
      );
      expectSame(keyOf({}), keyOf({}, { headers }));
    });

    it('The cache key depends on the Host where the upstream gets it, in HTTP/1.1 and HTTP/2', () => {
      const of = (host: string, forwardsHost: boolean) =>
        keyOf({}, { headers: { host }, forwardsHost });
      expectApart(of('a.test', true), of('b.test', true), of('a.test.', true), keyOf({}));
      expectSame(of('a.test', false), of('b.test', false), keyOf({}));
      const over2 = (host: string) =>
        keyOf({}, { headers: { ':authority': host }, forwardsHost: true });
      expectApart(over2('a.test'), over2('b.test'));
      const action = { ignoreHeaders: ['host'] };
      expectSame(keyOf({}), keyOf({}, { headers: { host: 'a' }, forwardsHost: true, action }));
    });

    it('The cache key depends on the host in Forwarded, and not on the client in it', () => {
      const of = (forwarded: string) => keyOf({}, { headers: { forwarded } });
      expectApart(of('for=1;host=a.test'), of('for=1;host="b.test"'), keyOf({}));
      expectSame(of('for=1;host=a.test;proto=https'), of('for=2; Host=a.test'));
      expectSame(of('for=1.2.3.4;by="ghost=a"'), keyOf({}));
    });

    it('The cache key depends on an Accept without JSON, or with events where the body asks for none', () => {
      const of = (accept: string, body: object = {}) => keyOf(body, { headers: { accept } });
      const usual = [
        '*/*',
        'application/json',
        'Application/JSON; q=0.9',
        'application/json, text/plain, */*',
        'application/*',
        'text/html,*/*;q=0.8',
      ];
      expectSame(keyOf({}), ...usual.map((accept) => of(accept)));
      expectApart(
        keyOf({}),
        of('text/event-stream'),
        of('application/json, text/event-stream'),
        of('application/xml'),
        of('application/xml, application/json;q=0'),
        of('application/json-seq'),
      );
      const stream = { stream: true };
      expectSame(keyOf(stream), of('text/event-stream', stream), of('application/json', stream));
      expectApart(keyOf(stream), of('application/x-ndjson', stream));
    });

    it('The cache key depends on a Content-Type other than plain JSON', () => {
      const of = (type: string) => keyOf({}, { headers: { 'content-type': type } });
      expectSame(
        of('application/json'),
        of('application/json; charset=utf-8'),
        of('Application/JSON;charset="UTF-8"'),
      );
      expectApart(
        keyOf({}),
        of('application/json'),
        of('application/vnd.api+json'),
        of('application/json; profile=a'),
      );
    });

    it('The cache key depends on no other header', () => {
      expectSame(
        keyOf({}),
        keyOf({}, { headers: { authorization: 'Bearer x', 'x-request-id': '1', accept: '*/*' } }),
      );
    });

    it('The cache key does not depend on the order of headers', () => {
      const headers = { 'x-target-url': 'a', 'openai-beta': 'b', host: 'c', accept: 'text/plain' };
      const turned = Object.fromEntries(Object.entries(headers).toReversed());
      expectSame(
        keyOf({}, { headers, forwardsHost: true }),
        keyOf({}, { headers: turned, forwardsHost: true }),
      );
    });

    it('The cache key depends on the scope', () => {
      expectApart(keyOf({}, { scope: 'uA' }), keyOf({}, { scope: 'uB' }), keyOf({}));
    });

    it('The cache key depends on the namespace: the one in the action, else the apiEndpoint', () => {
      expectApart(keyOf({}, { apiEndpoint: 'a' }), keyOf({}, { apiEndpoint: 'b' }));
      expectSame(
        keyOf({}, { apiEndpoint: 'a', action: { namespace: 'ns' } }),
        keyOf({}, { apiEndpoint: 'b', action: { namespace: 'ns' } }),
      );
      expect(keyOf({}, { apiEndpoint: null })).to.match(/^default:/);
    });
  });

  describe('The text of a key', () => {
    it('The cache key reads as namespace, scope and digest, in that order', () => {
      expect(keyOf({}, { scope: 'uA', apiEndpoint: 'openai' })).to.match(/^openai:uA:[\w-]{43}$/);
    });

    it('The cache key has three parts, whatever is in the namespace', () => {
      for (const namespace of ['a:b', 'a b', 'a/b?c', 'ä*', '%3A', 'a\nb']) {
        const key = keyOf({}, { apiEndpoint: namespace });
        expect(key.split(':')).to.have.length(3);
        expect(decodeURIComponent(key.split(':')[0] ?? '')).to.equal(namespace);
      }
    });

    it('The cache key cannot be found by trying what a query or a credential may be', () => {
      const elsewhere = nodeDigest('another secret');
      const of = (parts: RequestParts, by = digest) => {
        const settings = validate<LlmCacheSettings>(llmCacheSchema, {}, 'test');
        const making = { settings, digest: by, forwardsHost: () => true };
        return keyOfBody(makeRequest(parts), makeBody({}), 'shared', making).key;
      };
      for (const parts of [
        { query: '?key=hunter2' },
        { forwardedUrl: '/v1/chat/completions?api-key=hunter2' },
        { forwardedUrl: 'http://ann:hunter2@host/v1/chat/completions' },
        { headers: { 'x-portkey-api-key': 'hunter2' } },
      ]) {
        expectApart(of({}), of(parts), of(parts, elsewhere));
      }
      expectSame(of({}), of({}, elsewhere));
    });

    it('The cache key shows no prompt, header or query', () => {
      const headers = { authorization: 'Bearer PRIVATE', 'openai-organization': 'PRIVATE' };
      const query = '?key=PRIVATE';
      const key = keyOf({ messages: [{ content: 'PRIVATE' }] }, { headers, query });
      expect(key).to.not.contain('PRIVATE');
    });
  });

  describe('Any body', () => {
    // Two members have rules of their own, which are told above.
    const names = fc
      .string({ minLength: 1 })
      .filter((name) => name !== 'stream' && name !== 'stream_options');
    const bodies = fc.dictionary(names, fc.jsonValue(), { minKeys: 1, noNullPrototype: true });

    it('The cache key changes with any other value of any member', () => {
      fc.assert(
        fc.property(bodies, fc.nat(), fc.jsonValue(), (body, at, value) => {
          const all = Object.keys(body);
          const name = all[at % all.length] ?? '';
          const other: unknown = JSON.parse(JSON.stringify({ ...body, [name]: value }));
          if (isDeepStrictEqual(other, JSON.parse(JSON.stringify(body)))) {
            expectSame(keyOf(body), keyOf(other));
          } else {
            expectApart(keyOf(body), keyOf(other));
          }
        }),
      );
    });

    it('The cache key changes with one more member, unless that member is ignored', () => {
      fc.assert(
        fc.property(bodies, names, fc.jsonValue(), (body, name, value) => {
          const { [name]: _before, ...less } = body;
          const more = { [name]: value, ...less };
          const action = { ignoreFields: [name] };
          expectApart(keyOf(less), keyOf(more));
          expectSame(keyOf(less, { action }), keyOf(more, { action }));
        }),
      );
    });

    it('The cache key of any body does not change with the order of members', () => {
      fc.assert(
        fc.property(bodies, (body) => {
          const members = Object.entries(body).map((pair) => pair.map((x) => JSON.stringify(x)));
          const turned = members.toReversed().map((pair) => pair.join(': '));
          expectSame(keyOf(body), keyOf(`{${turned.join(' ,\n')}}`));
        }),
      );
    });
  });
});
