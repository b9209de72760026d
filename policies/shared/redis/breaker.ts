const failuresToOpen = 3;
const probeMs = 1000;

/** Keeps callers from a service that does not answer, and asks it itself from time to time. */
export class Breaker {
  readonly #probe: () => Promise<unknown>;
  readonly #changed: (open: boolean, reason: string) => void;
  #failures = 0;
  #open = false;
  #timer: NodeJS.Timeout | null = null;

  /** `probe` rejects as long as the service does not answer; `changed` is told each change of state. */
  constructor(probe: () => Promise<unknown>, changed: (open: boolean, reason: string) => void) {
    this.#probe = probe;
    this.#changed = changed;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  succeeded(): void {
    this.#failures = 0;
    if (!this.#open) return;
    this.close();
    this.#changed(false, '');
  }

  failed(reason: string): void {
    this.#failures++;
    if (this.#open || this.#failures < failuresToOpen) return;
    this.#open = true;
    this.#timer = setInterval(() => void this.#ask(), probeMs).unref();
    this.#changed(true, reason);
  }

  /** Begins anew, without a word in the log. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#open = false;
    this.#failures = 0;
  }

  async #ask(): Promise<void> {
    try {
      await this.#probe();
    } catch {
      return; // It stays open until the next time.
    }
    this.succeeded();
  }
}
