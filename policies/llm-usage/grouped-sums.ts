import { addRecord, dayOf, type Group, isPaid, type Line, noSums } from './ledger.ts';
import type { UsageRecord } from './usage-record.ts';

const maxNameLength = 256;
const other = 'other';

/** The group of what has no room in another one. */
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

/** What a group is called within its day; no two have the same name. */
export function nameOf(group: Group): string {
  return JSON.stringify([
    group.model,
    group.requested_model,
    group.provider,
    group.consumer_id,
    group.api_endpoint,
  ]);
}

/** The group of that name. Throws where it is none. */
export function groupNamed(name: string, day: string): Group {
  const [model, requested, provider, consumer, endpoint] = JSON.parse(name) as [
    string | null,
    string | null,
    string,
    string | null,
    string | null,
  ];
  return {
    day,
    model,
    requested_model: requested,
    provider,
    consumer_id: consumer,
    api_endpoint: endpoint,
  };
}

export const otherName = nameOf(otherGroup(''));

function groupOf(record: UsageRecord): Group {
  return {
    day: dayOf(record),
    model: cut(record.model),
    requested_model: cut(record.requested_model),
    provider: cut(record.provider),
    consumer_id: cut(record.consumer_id),
    api_endpoint: cut(record.api_endpoint),
  };
}

function cut<T extends string | null>(name: T): T | string {
  return name !== null && name.length > maxNameLength ? name.slice(0, maxNameLength) : name;
}

/** Sums by group, bounded in groups. */
export class GroupedSums {
  readonly #days = new Map<string, Map<string, Line>>();
  /** Groups, without those of the days' `other`. */
  #inUse = 0;

  get isEmpty(): boolean {
    return this.#days.size === 0;
  }

  get size(): number {
    return [...this.#days.values()].reduce((size, lines) => size + lines.size, 0);
  }

  add(record: UsageRecord, maxGroups: number): void {
    // Failing requests cost nothing, so they leave half of the groups to those that do.
    const room = isPaid(record) ? maxGroups : maxGroups / 2;
    const group = groupOf(record);
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

  /** Takes the first lines out, at most `count`. */
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
