import { type Ask, logNormal, randomFrom, type Trace, zipf } from './trace.ts';

/** Requests in a trace. */
const length = 200_000;
/** Questions that may repeat, unless a law says otherwise. */
const questions = 50_000;
/** The time between two requests. */
const stepMs = 100;

/** Returns the question of the request at `index`; null for a question that occurs once. */
type Law = (random: () => number) => (index: number) => string | null;

/** Returns the size and cost of the answer to a question. */
type Answers = (random: () => number, key: string) => Pick<Ask, 'bytes' | 'cost'>;

/** Three answers in five are streams, which are larger. The cost is independent of the size. */
const unrelated: Answers = (random) => ({
  bytes: sizeOf(random),
  cost: logNormal(random, 0, 1.3) / 1000,
});

/** As `unrelated`, with compressed bodies: streams shrink to a tenth, JSON to less than half. */
const compressed: Answers = (random, key) => {
  const { bytes, cost } = unrelated(random, key);
  return { bytes: Math.round(bytes / (bytes > 6000 ? 10 : 2.3)), cost };
};

/** The cost is proportional to the size, times a random price. */
const bySize: Answers = (random) => {
  const bytes = sizeOf(random);
  return { bytes, cost: bytes * 1e-6 * logNormal(random, 0, 1) };
};

function sizeOf(random: () => number): number {
  const isStream = random() < 0.6;
  const size = isStream ? logNormal(random, 9.2, 1.1) : logNormal(random, 7.8, 0.7);
  return Math.round(Math.min(Math.max(size, 300), 2_000_000));
}

const often =
  (once: number, exponent: number): Law =>
  (random) => {
    const rank = zipf(random, questions, exponent);
    return () => (random() < once ? null : `q${rank()}`);
  };

/** A new question replaces each question after `every` requests. */
const drifting =
  (once: number, every: number): Law =>
  (random) => {
    const rank = zipf(random, questions, 0.9);
    return (index) => {
      if (random() < once) return null;
      const at = rank();
      // Stagger the replacements, so that the questions of a hundred ranks change at different times.
      return `q${at}v${Math.floor(index / every + (at % 100) / 100)}`;
    };
  };

/** As the reference, and every fourth 10,000 requests are a job's questions, each asked once. */
const scanned: Law = (random) => {
  const inner = often(0.7, 0.9)(random);
  return (index) => (index % 40_000 >= 30_000 ? null : inner(index));
};

/** A question repeats a few times within the next two thousand requests, and never again. */
const bursts =
  (once: number): Law =>
  (random) => {
    const coming = new Map<number, string>();
    return (index) => {
      const due = coming.get(index);
      coming.delete(index);
      if (due !== undefined) return due;
      if (random() < once) return null;
      const times = 1 + Math.floor(logNormal(random, 0.5, 0.8));
      for (let time = 0; time < times; time++) {
        const at = index + 1 + Math.floor(random() * 2000);
        if (!coming.has(at)) coming.set(at, `b${index}`);
      }
      return `b${index}`;
    };
  };

/** Twenty tenants of unequal load (Zipf 0.8), each with its own questions. */
const tenants: Law = (random) => {
  const who = zipf(random, 20, 0.8);
  const laws = Array.from({ length: 20 }, (_, at) => ({
    once: 0.5 + (0.49 * ((at * 7) % 20)) / 19,
    rank: zipf(random, 2000 + 500 * at, 0.7 + (0.4 * ((at * 3) % 20)) / 19),
  }));
  return () => {
    const tenant = who();
    const law = laws[tenant];
    return law === undefined || random() < law.once ? null : `t${tenant}q${law.rank()}`;
  };
};

interface Described {
  readonly name: string;
  readonly law: string;
  readonly next: Law;
  readonly answers?: Answers;
}

export const described: readonly Described[] = [
  {
    name: 'reference',
    law: '70 % asked once, the rest Zipf 0.9 over 50,000 questions',
    next: often(0.7, 0.9),
  },
  {
    name: 'compressed',
    law: 'as the reference; what is over 6 KB takes a tenth, the rest 1 / 2.3',
    next: often(0.7, 0.9),
    answers: compressed,
  },
  {
    name: 'half once',
    law: '50 % asked once, the rest Zipf 0.9',
    next: often(0.5, 0.9),
  },
  {
    name: 'most once',
    law: '90 % asked once, the rest Zipf 0.9',
    next: often(0.9, 0.9),
  },
  {
    name: 'nearly all once',
    law: '99 % asked once, the rest Zipf 0.9',
    next: often(0.99, 0.9),
  },
  { name: 'flat', law: '70 % asked once, the rest Zipf 0.7', next: often(0.7, 0.7) },
  { name: 'steep', law: '70 % asked once, the rest Zipf 1.1', next: often(0.7, 1.1) },
  {
    name: 'by size',
    law: 'as the reference; an answer costs by its size',
    next: often(0.7, 0.9),
    answers: bySize,
  },
  {
    name: 'drift',
    law: 'as the reference; every question gives its place to a new one after 50,000 requests',
    next: drifting(0.7, 50_000),
  },
  {
    name: 'scans',
    law: 'as the reference; every fourth 10,000 requests are asked once',
    next: scanned,
  },
  {
    name: 'bursts',
    law: '70 % asked once, the rest some times within 2,000 requests',
    next: bursts(0.7),
  },
  {
    name: 'tenants',
    law: 'twenty tenants, 50 to 99 % asked once, Zipf 0.7 to 1.1',
    next: tenants,
  },
];

/** Generates the trace of a law: the same in every run with the same seed. */
export function synthetic(one: Described, seed = 1, requests = length): Trace {
  const random = randomFrom(seed);
  const next = one.next(random);
  const answers = one.answers ?? unrelated;
  const known = new Map<string, Pick<Ask, 'bytes' | 'cost'>>();
  const asks: Ask[] = [];
  for (let index = 0; index < requests; index++) {
    const key = next(index) ?? `u${index}`;
    let answer = known.get(key);
    if (answer === undefined) known.set(key, (answer = answers(random, key)));
    asks.push({ at: index * stepMs, key, ...answer });
  }
  return { name: one.name, law: one.law, asks };
}
