/** Concurrent calls with the same key share one result. */
export class SingleFlight<T> {
  readonly #underWay = new Map<string, Promise<T>>();

  run(key: string, ask: () => Promise<T>): Promise<T> {
    const shared = this.#underWay.get(key);
    if (shared !== undefined) return shared;
    const asked = ask().finally(() => {
      if (this.#underWay.get(key) === asked) this.#underWay.delete(key);
    });
    this.#underWay.set(key, asked);
    return asked;
  }

  /** Later calls do not share the call under way, because its result may be outdated. */
  forget(key: string): void {
    this.#underWay.delete(key);
  }

  forgetAll(): void {
    this.#underWay.clear();
  }
}
