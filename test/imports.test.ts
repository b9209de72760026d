import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { expect } from 'chai';

/**
 * The layers of the source tree, top first. A file belongs to the first layer that matches it, and
 * may import only from its own and lower layers, types included.
 */
const layers: readonly (readonly [string, RegExp])[] = [
  ['hosts with an app', /^policies\/(express\.ts$|hosts\/(gateway\/(?!types\.ts$)|express\/))/],
  ['runtime', /^policies\/hosts\/[^/]+$/],
  ['admin', /^policies\/admin\//],
  ['conditions', /^conditions\//],
  ['types of the gateway', /^policies\/hosts\/gateway\/types\.ts$/],
  ['requests of Node and of fetch handlers', /^policies\/hosts\/(node|fetch)\//],
  ['registries and back ends', /\/(stores|sinks|ledgers)\/(?!(store|relay|sink)\.ts$)/],
  ['connections', /^policies\/shared\/(redis|prometheus)\//],
  ['engine', /^policies\/llm-cache\/engine\.ts$/],
  ['rules, key, entry, record', /^policies\/llm-(cache|usage)\//],
  [
    'exchange',
    /^policies\/shared\/(exchange|answer|answer-reader|request-body|stream-validator|identity\/(client-of|identity))\.ts$/,
  ],
  ['protocols', /^policies\/shared\/protocols\//],
  ['leaves', /^policies\/shared\/([^/]+|(json|bytes|identity)\/[^/]+)$/],
  ['schemas', /^schemas\//],
];

/** Only the layers above the engine may import Node's modules and packages made for Node. */
const engineLayer = layers.findIndex(([name]) => name === 'engine');
const nodeOnly = /^(node:|express|http-proxy$|ioredis$|prom-client$|node-cache$)/;

const layerOf = (file: string) => layers.findIndex(([, pattern]) => pattern.test(file));

/** The imports of every source file: files by path, packages by name. */
const tree = new Map(
  ['policies', 'conditions', 'schemas']
    .flatMap((root) =>
      readdirSync(root, { recursive: true }).map((path) => `${root}/${String(path)}`),
    )
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'))
    .map((file) => [file, importsOf(file)]),
);

function importsOf(file: string): string[] {
  const statement =
    /^(?:import|export)\b[^;]*?\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)|\brequire\('([^']+)'\)/gm;
  return [...readFileSync(file, 'utf8').matchAll(statement)]
    .map((match) => match.slice(1).find((name) => name !== undefined) ?? '')
    .map((name) => (name.startsWith('.') ? join(dirname(file), name) : name));
}

/** Returns every import that `isWrong`, as `from → to`. */
function wrong(isWrong: (from: string, to: string) => boolean): string[] {
  return [...tree].flatMap(([from, imports]) =>
    imports.filter((to) => isWrong(from, to)).map((to) => `${from} → ${to}`),
  );
}

/** Returns `file` and everything that it imports, directly or not. */
function reachedFrom(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const next of tree.get(file) ?? []) reachedFrom(next, seen);
  return seen;
}

describe('The imports of the source tree', () => {
  it('Every import of a source file names a file that exists', () => {
    expect(tree.get('policies/llm-cache/engine.ts')).to.include.members([
      'policies/llm-cache/identify.ts',
      'policies/shared/exchange.ts',
    ]);
    expect(wrong((_from, to) => to.endsWith('.ts') && !tree.has(to))).to.deep.equal([]);
  });

  it('Every source file belongs to a layer, and every layer has files', () => {
    const found = new Set([...tree.keys()].map(layerOf));
    expect([...tree.keys()].filter((file) => layerOf(file) < 0)).to.deep.equal([]);
    expect(layers.filter((_, at) => !found.has(at)).map(([name]) => name)).to.deep.equal([]);
  });

  it('No import points up', () => {
    expect(wrong((from, to) => tree.has(to) && layerOf(to) < layerOf(from))).to.deep.equal([]);
  });

  it('No imports go round in a circle', () => {
    const circles = wrong((from, to) => tree.has(to) && reachedFrom(to).has(from));
    expect(circles).to.deep.equal([]);
  });

  it('The two policies never import each other below the hosts', () => {
    const folder = (file: string) => /^policies\/(llm-cache|llm-usage|shared)\//.exec(file)?.[1];
    expect(
      wrong((from, to) => {
        const [here, there] = [folder(from), folder(to)];
        return here !== undefined && there !== undefined && there !== 'shared' && there !== here;
      }),
    ).to.deep.equal([]);
  });

  it('Node is known only above the engine, and not before a fetch handler', () => {
    expect(wrong((from, to) => nodeOnly.test(to) && layerOf(from) >= engineLayer)).to.deep.equal(
      [],
    );
    for (const from of ['policies/llm-cache/engine.ts', 'policies/hosts/fetch/index.ts']) {
      const reached = [...reachedFrom(from)];
      expect(reached).to.include('policies/shared/protocols/protocol.ts');
      expect(reached.filter((name) => nodeOnly.test(name))).to.deep.equal([]);
    }
    // ajv generates code at run time, which some platforms of fetch handlers forbid.
    expect([...reachedFrom('policies/hosts/fetch/index.ts')]).to.not.include('ajv');
  });

  it("The gateway is known only by the plugin's own types", () => {
    expect(wrong((_from, to) => to === 'express-gateway' || to === 'express')).to.deep.equal([]);
  });
});
