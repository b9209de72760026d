/** What V8's profiler writes, as far as it is read here. */
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

/** Parts of the time in which the process worked, by name, the largest first. */
export type Shares = readonly (readonly [name: string, share: number])[];

export interface Reading {
  /** Microseconds in which the process worked. */
  readonly busy: number;
  /** By whose code it is. */
  readonly groups: Shares;
  /** By function, without what it calls. */
  readonly self: Shares;
  /** By function of ours, with what it has others do: libraries, Node and V8, but not other functions of ours. */
  readonly caused: Shares;
  /** By function of ours, with everything that it calls. */
  readonly total: Shares;
}

// What the gateway's router calls is the next policy, whoever it was that said `next`.
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
