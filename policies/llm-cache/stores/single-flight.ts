/** Callers who ask for the same at the same time share one answer. */
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

  /** Who asks from now on gets an answer of its own: what is under way may be outdated. */
  forget(key: string): void {
    this.#underWay.delete(key);
  }

  forgetAll(): void {
    this.#underWay.clear();
  }
}
