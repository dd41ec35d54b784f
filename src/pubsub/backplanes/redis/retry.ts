/** The delays between attempts to connect. */
import { Timer } from "../timer.ts";

/** Milliseconds. */
const [STEP, LONGEST] = [50, 1_000];

/** Calls a function again and again, with growing delays up to one second, until `stop` or `reset` is called. */
export class Retry {
  readonly #timer = new Timer();
  #failures = 0;

  get waiting(): boolean {
    return this.#timer.running;
  }

  /** The next call of `run` follows after the next delay. */
  schedule(run: () => void): void {
    this.#failures++;
    this.#timer.start(run, Math.min(STEP * this.#failures, LONGEST));
  }

  /** Calls `run` as soon as possible. */
  now(run: () => void): void {
    this.#timer.start(run, 0);
  }

  stop(): void {
    this.#timer.stop();
  }

  /** It has succeeded: the next delay is the shortest one again. */
  reset(): void {
    this.#failures = 0;
    this.#timer.stop();
  }
}
