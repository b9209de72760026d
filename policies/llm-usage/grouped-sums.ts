import { addRecord, dayMs, dayOf, type Group, isPaid, type Line, noSums } from './ledger.ts';
import { ModelNames } from './model-names.ts';
import type { UsageRecord } from './usage-record.ts';

const maxNameLength = 256;
const other = 'other';

/** The day's overflow group, for records that arrive when no new group fits. */
export function otherGroup(day: string): Group {
  return {
    day,
    model: other,
    requested_model: other,
    provider: other,
    consumer_id: other,
    api_endpoint: other,
  };
}

/** Returns a name that is unique among the groups of a day. */
export function nameOf(group: Group): string {
  return JSON.stringify([
    group.model,
    group.requested_model,
    group.provider,
    group.consumer_id,
    group.api_endpoint,
  ]);
}

/** Parses a group's name, which another program may have written; an invalid one gives `other`. */
export function groupNamed(name: string, day: string): Group {
  const parts = partsOf(name);
  if (parts === null) return otherGroup(day);
  const [model, requested, provider, consumer, endpoint] = parts;
  return {
    day,
    model,
    requested_model: requested,
    provider,
    consumer_id: consumer,
    api_endpoint: endpoint,
  };
}

type Names = [string | null, string | null, string, string | null, string | null];

function partsOf(name: string): Names | null {
  try {
    const parts: unknown = JSON.parse(name);
    const isNames =
      Array.isArray(parts) &&
      parts.length === 5 &&
      parts.every((part) => part === null || typeof part === 'string') &&
      parts[2] !== null;
    return isNames ? (parts as Names) : null;
  } catch {
    return null;
  }
}

export const otherName = nameOf(otherGroup(''));

function groupOf(record: UsageRecord, day: string): Group {
  return {
    day,
    model: truncate(record.model),
    requested_model: truncate(record.requested_model),
    provider: truncate(record.provider),
    consumer_id: truncate(record.consumer_id),
    api_endpoint: truncate(record.api_endpoint),
  };
}

function truncate<T extends string | null>(name: T): T | string {
  return name !== null && name.length > maxNameLength ? name.slice(0, maxNameLength) : name;
}

/** Returns the line dated `days` later. */
export function movedBy({ group, sums }: Line, days: number): Line {
  return { group: { ...group, day: dayOf(Date.parse(group.day) + days * dayMs) }, sums };
}

/** Sums of usage records by group, with a bound on the number of groups. */
export class GroupedSums {
  readonly #days = new Map<string, Map<string, Line>>();
  readonly #models = new ModelNames();
  /** The number of groups, not counting each day's `other`. */
  #inUse = 0;

  get isEmpty(): boolean {
    return this.#days.size === 0;
  }

  get days(): readonly string[] {
    return [...this.#days.keys()];
  }

  get size(): number {
    return [...this.#days.values()].reduce((size, lines) => size + lines.size, 0);
  }

  add(record: UsageRecord, day: string, maxGroups: number): void {
    // Requests that cost nothing may use at most half of the groups.
    const room = isPaid(record) ? maxGroups : maxGroups / 2;
    const group = this.#models.within(groupOf(record, day), maxGroups);
    const lines = this.#linesOf(group.day);
    const name = nameOf(group);
    const line =
      lines.get(name) ??
      (name !== otherName && this.#inUse < room
        ? this.#open(lines, name, group)
        : (lines.get(otherName) ?? this.#open(lines, otherName, otherGroup(group.day))));
    addRecord(line.sums, record);
  }

  *lines(): Generator<Line> {
    for (const lines of this.#days.values()) yield* lines.values();
  }

  /** Removes and returns the first lines, at most `count`. */
  take(count: number): Line[] {
    const taken: Line[] = [];
    for (const [day, lines] of this.#days) {
      for (const [name, line] of lines) {
        if (taken.length === count) return taken;
        taken.push(line);
        lines.delete(name);
        if (name !== otherName) this.#inUse--;
      }
      this.#days.delete(day);
    }
    return taken;
  }

  /** Redates all lines by `days`, forwards or back. */
  move(days: number): void {
    const all = [...this.#days.values()];
    this.#days.clear();
    for (const lines of all) {
      const moved = new Map([...lines].map(([name, line]) => [name, movedBy(line, days)] as const));
      for (const { group } of moved.values()) this.#days.set(group.day, moved);
    }
  }

  dropBefore(oldest: string): void {
    for (const [day, lines] of this.#days) {
      if (day >= oldest) continue;
      this.#inUse -= lines.size - (lines.has(otherName) ? 1 : 0);
      this.#days.delete(day);
    }
  }

  #linesOf(day: string): Map<string, Line> {
    let lines = this.#days.get(day);
    if (lines === undefined) this.#days.set(day, (lines = new Map<string, Line>()));
    return lines;
  }

  #open(lines: Map<string, Line>, name: string, group: Group): Line {
    const line = { group, sums: noSums() };
    lines.set(name, line);
    if (name !== otherName) this.#inUse++;
    return line;
  }
}
