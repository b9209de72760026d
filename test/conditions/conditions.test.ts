import { expect } from 'chai';
import { llmNoCache } from '../../conditions/llm-no-cache.ts';
import { llmRequest } from '../../conditions/llm-request.ts';
import type { GatewayRequest } from '../../policies/hosts/gateway/types.ts';
import { llmNoCacheSchema, llmRequestSchema } from '../../schemas/conditions.ts';
import { validate } from '../../schemas/validate.ts';

function request(parts: Partial<GatewayRequest>): GatewayRequest {
  return { method: 'POST', originalUrl: '/', headers: {}, ...parts } as GatewayRequest;
}

/** With the defaults filled in, as the gateway gives it. */
function matches(originalUrl: string, config: object = {}, method = 'POST'): boolean {
  const filled = validate<object>(llmRequestSchema, { name: 'llm-request', ...config }, 'test');
  return llmRequest.handler(request({ method, originalUrl }), { ...filled });
}

const paths = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
  responses: '/v1/responses',
  embeddings: '/v1/embeddings',
  messages: '/v1/messages',
};

describe('The conditions', () => {
  it('The conditions take two parameters, by which the gateway recognises them', () => {
    expect(llmRequest.handler).to.have.length(2);
    expect(llmNoCache.handler).to.have.length(2);
  });

  it('The conditions have schemas with an $id, as the gateway wants them', () => {
    expect(llmRequest).to.include({ name: 'llm-request', schema: llmRequestSchema });
    expect(llmNoCache).to.include({ name: 'llm-no-cache', schema: llmNoCacheSchema });
    for (const { $id } of [llmRequestSchema, llmNoCacheSchema]) expect($id).to.match(/^http:/);
  });
});

describe('llm-request', () => {
  for (const [protocol, path] of Object.entries(paths)) {
    it(`The llm-request condition knows ${protocol} by its path, behind any prefix and with any query`, () => {
      for (const url of [path, `/openai${path}`, `${path}?a=/x`, `${path}?`]) {
        expect(matches(url), url).to.equal(true);
      }
    });

    it(`The llm-request condition takes ${protocol} alone where protocols say so`, () => {
      const taken = Object.values(paths).filter((one) => matches(one, { protocols: [protocol] }));
      expect(taken).to.deep.equal([path]);
    });
  }

  it('The llm-request condition takes POST alone', () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD']) {
      expect(matches(paths.chat, {}, method), method).to.equal(false);
    }
  });

  it('The llm-request condition takes no path that the cache does not serve', () => {
    const others = [
      '/v1/models',
      '/',
      '/v1/chat/completions/',
      '/v1/chat/completions/id',
      '/v1/xcompletions',
      '/v1/threads/t1/messages',
      '/v1/files?x=/v1/chat/completions',
      '/v1/messages/count_tokens',
      '/v1/messages/batches',
    ];
    for (const url of others) expect(matches(url), url).to.equal(false);
  });

  it('The llm-request condition is narrowed by globs on the path that the client sent', () => {
    const config = { paths: ['/eu/**', '/v1/chat/*'] };
    expect(matches('/eu/v1/messages', config)).to.equal(true);
    expect(matches('/v1/chat/completions?x=1', config)).to.equal(true);
    expect(matches('/us/v1/messages', config)).to.equal(false);
    expect(matches('/us/v1/messages?x=/eu/y', { paths: ['/**/eu/*'] })).to.equal(false);
    expect(matches('/v1/messages?x=1', { paths: ['/v1/messages'] })).to.equal(true);
  });

  it('The llm-request condition is never widened by globs', () => {
    expect(matches('/v1/models', { paths: ['/**'] })).to.equal(false);
    expect(matches(paths.chat, { protocols: ['messages'], paths: ['/**'] })).to.equal(false);
  });

  it('The llm-request condition reads no comment and no negation into a glob', () => {
    expect(matches('/.hidden/v1/messages', { paths: ['/**/messages'] })).to.equal(true);
    expect(matches(paths.chat, { paths: ['!/v1/messages'] })).to.equal(false);
    expect(matches(paths.chat, { paths: ['#', '/v1/**'] })).to.equal(true);
  });

  it('The llm-request condition judges the path that the client sent, not a rewritten one', () => {
    const req = request({ originalUrl: paths.chat, url: '/elsewhere' });
    expect(llmRequest.handler(req, { name: 'llm-request' })).to.equal(true);
    const other = request({ originalUrl: '/elsewhere', url: paths.chat });
    expect(llmRequest.handler(other, { name: 'llm-request' })).to.equal(false);
  });

  it('The llm-request condition uses the globs of the configuration it is given, call by call', () => {
    const [eu, us] = [{ paths: ['/eu/**'] }, { paths: ['/us/**'] }];
    const req = request({ originalUrl: '/eu/v1/messages' });
    for (const _time of [1, 2]) {
      expect(llmRequest.handler(req, eu)).to.equal(true);
      expect(llmRequest.handler(req, us)).to.equal(false);
    }
  });
});

describe('llm-no-cache', () => {
  const asks = (headers: GatewayRequest['headers']) =>
    llmNoCache.handler(request({ headers }), { name: 'llm-no-cache' });

  it('The llm-no-cache condition is true for every header that asks for a fresh answer', () => {
    for (const value of ['no-cache', 'NO-STORE', 'max-age=0', 'foo, no-cache']) {
      expect(asks({ 'cache-control': value }), value).to.equal(true);
    }
    expect(asks({ 'x-cache-control': 'refresh' })).to.equal(true);
    expect(asks({ 'x-cache-control': 'no-store' })).to.equal(true);
  });

  it('The llm-no-cache condition is false for any other request', () => {
    expect(asks({})).to.equal(false);
    for (const value of ['max-age=60', 'only-if-cached', 'no-transform']) {
      expect(asks({ 'cache-control': value }), value).to.equal(false);
    }
    expect(asks({ 'x-cache-ttl': '5', 'x-cache-type': 'semantic' })).to.equal(false);
  });

  it('The llm-no-cache condition reads every line of a header', () => {
    expect(asks({ 'x-cache-control': ['a', 'refresh'] })).to.equal(true);
  });
});
