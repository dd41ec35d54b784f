/** The delays between attempts to connect. */
import { systemTimers } from "../../../adapters/shared/timers.ts";

/** Milliseconds. */
const [STEP, LONGEST] = [50, 1_000];

/** One timer at a time, which does not keep the process alive. */
export class Timer {
  #timer: ReturnType<typeof systemTimers.startTimeout> | undefined;

  get running(): boolean {
    return this.#timer !== undefined;
  }

  /** Replaces the timer that runs. */
  start(run: () => void, ms: number): void {
    this.stop();
    this.#timer = systemTimers.startTimeout(() => {
      this.#timer = undefined;
      run();
    }, ms);
    if (typeof this.#timer === "object") this.#timer.unref?.();
  }

  stop(): void {
    systemTimers.stopTimeout(this.#timer);
    this.#timer = undefined;
  }
}

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
