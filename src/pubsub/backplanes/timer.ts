import { systemTimers } from "../../adapters/shared/timers.ts";

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
