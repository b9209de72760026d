import { expect } from 'chai';
import { tryoutOf } from '../../../policies/hosts/gateway/tryout.ts';
import { readPipelines } from '../../../policies/hosts/pipelines.ts';

describe('The request that the dashboard offers to try', () => {
  const offered = (paths: unknown, policies: object[] = [{ 'llm-cache': {} }], http?: object) => {
    const config = {
      ...(http && { http }),
      apiEndpoints: { api: { host: '*', paths } },
      pipelines: { one: { apiEndpoints: ['api'], policies } },
    };
    return tryoutOf(config, readPipelines(config));
  };

  it('The offered request goes to a path that the apiEndpoint takes', () => {
    for (const [paths, path] of [
      ['/v1/chat/completions', '/v1/chat/completions'],
      ['/*', '/v1/chat/completions'],
      [undefined, '/v1/chat/completions'],
      ['/openai/*', '/openai/v1/chat/completions'],
      [['/models', '/openai/v1/*'], '/openai/v1/chat/completions'],
      [['/a/*', '/b/chat/completions'], '/b/chat/completions'],
    ] as const) {
      expect(offered(paths)?.path).to.equal(path);
    }
  });

  it('The offered request names the port, and whether a credential is needed', () => {
    expect(offered('/*', [{ 'llm-cache': {} }], { port: 8080 })).to.deep.equal({
      port: 8080,
      path: '/v1/chat/completions',
      needsCredential: false,
    });
    expect(offered('/*', [{ 'key-auth': {} }, { 'llm-cache': {} }], { port: 0 })).to.include({
      port: null,
      needsCredential: true,
    });
  });

  it('The dashboard is offered no request where no pipeline has the cache', () => {
    expect(offered('/*', [{ proxy: {} }])).to.equal(null);
  });
});
