import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { gatewayConfigFile, systemConfigFile } from '../../schemas/editor.ts';
import type { Schema } from '../../schemas/schema.ts';
import { codeBlocks, documents } from '../support/documents.ts';

const ajv = new Ajv({ strict: false, allErrors: true });
const check = { gateway: ajv.compile(gatewayConfigFile), system: ajv.compile(systemConfigFile) };

/** Where a value is wrong for the schema of a file: JSON pointers, without those of `anyOf` itself. */
function wrong(file: keyof typeof check, value: unknown): string[] {
  if (check[file](value)) return [];
  return (check[file].errors ?? []).map(
    ({ instancePath, message }) => `${instancePath} ${String(message)}`,
  );
}

const cacheStep = (action: object, condition?: unknown) => ({
  pipelines: { p: { apiEndpoints: ['a'], policies: [{ 'llm-cache': { action, condition } }] } },
});
const settings = (given: object) => ({ plugins: { 'llm-cache': given } });
const key = Buffer.alloc(32).toString('base64');

const parsed = (text: string) =>
  parseAllDocuments(text).map((document) => document.toJS() as unknown);

describe('The schemas for editors', () => {
  it("The editor schemas accept the example's configuration as it is written", () => {
    for (const file of ['gateway', 'system'] as const) {
      const text = readFileSync(`examples/gateway/config/${file}.config.yml`, 'utf8');
      expect(wrong(file, parsed(text)[0]), file).to.deep.equal([]);
    }
  });

  it('The editor schemas accept every configuration in the documents as it is written', () => {
    let shown = 0;
    for (const [path, text] of documents()) {
      for (const block of codeBlocks(text, 'yaml').flatMap(parsed)) {
        const value = Array.isArray(block)
          ? { pipelines: { shown: { policies: block as unknown } } }
          : block;
        shown++;
        for (const file of ['gateway', 'system'] as const) {
          expect(wrong(file, value), `${path}: ${JSON.stringify(block)}`).to.deep.equal([]);
        }
      }
    }
    expect(shown).to.be.above(15);
  });

  const right: readonly (readonly [keyof typeof check, unknown])[] = [
    ['gateway', {}],
    ['gateway', { pipelines: { p: { policies: [{ 'llm-usage': null }, { 'llm-cache': [] }] } } }],
    ['gateway', { pipelines: [{ policy: { 'llm-cache': { action: { ttl: 5 } } } }] }],
    ['gateway', { pipeline: { policies: { 'llm-cache': [{}, { action: null }] } } }],
    ['gateway', cacheStep({ ttl: '${TTL:-60}', coalesce: '${ON}', scope: '${SCOPE}' })],
    ['gateway', cacheStep({ varyHeaders: ['${NAME}'], namespace: 'a-${NAME}' })],
    ['gateway', cacheStep({}, { name: 'their-own', with: 'members' })],
    ['gateway', cacheStep({}, null)],
    ['gateway', { pipelines: { p: { policies: [{ theirs: { action: { anything: 1 } } }] } } }],
    ['system', {}],
    ['system', { plugins: { 'llm-cache': null, other: { x: 1 } }, db: {} }],
    ['system', settings({ package: './manifest.js', scopeSecret: '${SECRET}' })],
    ['system', settings({ limits: { bufferedBytes: '${BYTES:-1000}' } })],
    ['system', settings({ stores: { m: { type: 'memory', maxBytes: '${BYTES}' } } })],
    [
      'system',
      settings({
        stores: { r: { type: 'redis', url: '${URL}', encryptionKeys: [key, '${KEY}'] } },
      }),
    ],
  ];
  for (const [file, value] of right) {
    it(`The editor schemas accept in ${file}.config.yml ${JSON.stringify(value)}`, () => {
      expect(wrong(file, value)).to.deep.equal([]);
    });
  }

  const refused: readonly (readonly [keyof typeof check, unknown, string])[] = [
    ['gateway', cacheStep({ tll: 5 }), '/pipelines/p/policies/0/llm-cache/action'],
    ['gateway', cacheStep({ ttl: 0 }), '/llm-cache/action/ttl must be >= 1'],
    ['gateway', cacheStep({ ttl: '60' }), '/llm-cache/action/ttl must be integer'],
    ['gateway', cacheStep({ scope: 'tenant' }), '/llm-cache/action/scope must be equal to one of'],
    ['gateway', cacheStep({ coalesce: 'yes' }), '/llm-cache/action/coalesce must be boolean'],
    ['gateway', cacheStep({ getCommonAuthCallback: 1 }), '/llm-cache/action'],
    ['gateway', cacheStep({}, {}), "/condition must have required property 'name'"],
    ['gateway', cacheStep({}, { name: 'llm-request', protocols: ['chats'] }), '/protocols/0'],
    ['gateway', cacheStep({}, { name: 'llm-no-cache', x: 1 }), '/condition'],
    ['gateway', cacheStep({}, { name: 'allOf' }), "required property 'conditions'"],
    [
      'gateway',
      cacheStep({}, { name: 'not', condition: { name: 'llm-request', path: 'x' } }),
      '/condition/condition',
    ],
    ['gateway', { pipelines: { p: { policies: [{ 'llm-cache': { ttl: 5 } }] } } }, '/llm-cache'],
    [
      'gateway',
      { pipelines: { p: { policies: [{ 'llm-usage': { action: { provder: 'x' } } }] } } },
      '/llm-usage/action',
    ],
    [
      'gateway',
      { pipelines: { p: { policies: [{ proxy: { condition: { name: 'llm-request', x: 1 } } }] } } },
      '/proxy/condition',
    ],
    ['system', settings({ store: {} }), '/plugins/llm-cache'],
    ['system', settings({ stores: { a: { type: 'disk' } } }), '/stores/a/type'],
    ['system', settings({ stores: { a: { type: 'memory', size: 1 } } }), '/stores/a'],
    ['system', settings({ stores: { a: { type: 'tiered' } } }), "required property 'far'"],
    [
      'system',
      settings({ stores: { a: { type: 'redis', encryptionKeys: ['short'] } } }),
      '/encryptionKeys/0',
    ],
    ['system', settings({ usage: { sinks: [{ type: 'jsonl' }] } }), "required property 'path'"],
    ['system', settings({ usage: { sinks: [{ type: 'log', path: 'x' }] } }), '/sinks/0'],
    ['system', settings({ limits: { bufferedBytes: '12' } }), '/limits/bufferedBytes'],
  ];
  for (const [file, value, where] of refused) {
    it(`The editor schemas refuse in ${file}.config.yml ${JSON.stringify(value)}`, () => {
      expect(wrong(file, value).join('\n')).to.contain(where);
    });
  }

  it('The editor schemas describe every parameter', () => {
    const definitions = gatewayConfigFile['definitions'] as Record<string, Schema>;
    const text = JSON.stringify([definitions['llm-cache'], definitions['llm-usage']]);
    expect(text).to.contain('seconds an entry is fresh').and.to.contain('"default":3600');
    expect(JSON.stringify(systemConfigFile)).to.contain('the kind of store');
  });

  it("The example's files name the editor schemas at their place in the package", () => {
    const folder = 'examples/gateway/config';
    const files = readdirSync(folder).filter((name) => name.endsWith('.config.yml'));
    expect(files).to.have.length(2);
    for (const name of files) {
      const [first = ''] = readFileSync(join(folder, name), 'utf8').split('\n');
      const target = /^# yaml-language-server: \$schema=(\S+)$/.exec(first)?.[1] ?? '';
      expect(join(dirname(join(folder, name)), target), name).to.equal(
        `dist/schemas/${name.replace('.yml', '.json')}`,
      );
    }
  });

  it('The built editor schemas are up to date', function () {
    if (!statSync('dist/schemas/editor.js', { throwIfNoEntry: false })) this.skip();
    for (const [name, schema] of [
      ['gateway', gatewayConfigFile],
      ['system', systemConfigFile],
    ] as const) {
      const written = readFileSync(`dist/schemas/${name}.config.json`, 'utf8');
      expect(JSON.parse(written)).to.deep.equal(JSON.parse(JSON.stringify(schema)));
    }
  });
});
