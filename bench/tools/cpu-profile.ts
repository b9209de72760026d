/** The members of V8's profile format that `readProfile` uses. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Shares of the busy time by name, the largest first. */
export type Shares = readonly (readonly [name: string, share: number])[];

export interface Reading {
  /** Microseconds in which the process was not idle. */
  readonly busy: number;
  /** By package. */
  readonly groups: Shares;
  /** By function, without its callees. */
  readonly self: Shares;
  /** By our function, with its callees in libraries, Node and V8, but without our other functions. */
  readonly caused: Shares;
  /** By our function, with all its callees. */
  readonly total: Shares;
}

// The router calls the next policy, so its frames end attribution to the policy that called `next`.
const router = /\/node_modules\/express\/lib\/router\//;
const ours = /\/dist\/(?:policies|conditions|schemas)\//;

interface Frame {
  readonly name: string;
  readonly group: string;
  readonly isOurs: boolean;
  readonly isRouter: boolean;
  readonly parent: Frame | null;
}

export function readProfile({ nodes, samples, timeDeltas }: CpuProfile): Reading {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const frames = new Map<number, Frame>();
  const walk = (id: number, parent: Frame | null) => {
    const node = byId.get(id);
    if (node === undefined) return;
    const frame = frameOf(node.callFrame, parent);
    frames.set(id, frame);
    for (const child of node.children ?? []) walk(child, frame);
  };
  walk(nodes[0]?.id ?? 0, null);

  const [groups, self, caused, total] = [sums(), sums(), sums(), sums()];
  let all = 0;
  for (const [at, id] of samples.entries()) {
    const frame = frames.get(id);
    const time = timeDeltas[at + 1] ?? 0;
    if (frame === undefined || frame.name === '(idle)') continue;
    all += time;
    add(groups, frame.group, time);
    add(self, frame.name, time);
    add(caused, nearestOfOurs(frame)?.name ?? '(not ours)', time);
    const seen = new Set<string>();
    for (let one = nearestOfOurs(frame); one !== null; one = nearestOfOurs(one.parent)) {
      if (!seen.has(one.name)) add(total, one.name, time);
      seen.add(one.name);
    }
  }
  const shares = (sum: Map<string, number>): Shares =>
    [...sum]
      .map(([name, time]) => [name, time / all] as const)
      .toSorted(([, one], [, other]) => other - one);
  return {
    busy: all,
    groups: shares(groups),
    self: shares(self),
    caused: shares(caused),
    total: shares(total),
  };
}

const sums = () => new Map<string, number>();

function add(to: Map<string, number>, name: string, time: number): void {
  to.set(name, (to.get(name) ?? 0) + time);
}

function nearestOfOurs(frame: Frame | null): Frame | null {
  let one = frame;
  while (one !== null && !one.isOurs && !one.isRouter) one = one.parent;
  return one?.isOurs === true ? one : null;
}

function frameOf(
  { functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame'],
  parent: Frame | null,
): Frame {
  const isOurs = ours.test(url);
  const file = url.replace(/^.*\/(?=dist\/|node_modules\/)/, '');
  const place = url === '' ? '' : ` ${file}:${lineNumber + 1}`;
  const name = `${functionName === '' ? '(anonymous)' : functionName}${place}`;
  const group = groupOf(url, functionName, isOurs);
  return { name, group, isOurs, isRouter: router.test(url), parent };
}

function groupOf(url: string, name: string, isOurs: boolean): string {
  if (isOurs) return 'this plugin';
  const [, library] = /node_modules\/((?:@[^/]+\/)?[^/]+)(?!.*node_modules)/.exec(url) ?? [];
  if (library !== undefined) return library;
  if (url.startsWith('node:')) return 'node';
  return name.startsWith('(') ? name : 'V8 and native';
}
