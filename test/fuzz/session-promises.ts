/** The return value of a fuzzed callback: a result, an error, or a promise or thenable of either. */
import type { Reaction } from "./session-script.ts";

export class Promised {
  readonly error: Error;
  /** Whether it throws or rejects. */
  readonly fails: boolean;
  /** Whether it returns or throws instead of giving a promise. */
  readonly isSynchronous: boolean;
  isSettled: boolean;
  takeEffect: () => void = () => undefined;
  onSettled: () => void = () => undefined;

  private readonly reaction: Reaction;
  private readonly result: unknown;
  private settleNow: (() => void) | undefined;

  constructor(name: string, reaction: Reaction, result: unknown) {
    const { way, oddity } = reaction;
    this.reaction = reaction;
    this.result = result;
    this.error = new Error(`from ${name}`);
    const isOdd = way === "odd promise";
    this.fails =
      way === "throw" ||
      way === "rejected" ||
      way === "fail later" ||
      (isOdd && (oddity === "throws" || oddity === "rejects, then resolves" || oddity === "has a then that throws"));
    this.isSynchronous = way === "return" || way === "throw" || (isOdd && oddity === "has a then that throws");
    this.isSettled = way === "resolved" || way === "rejected" || (isOdd && oddity !== "resolves later");
  }

  /** Returns or throws as the reaction says. */
  give(): unknown {
    const { error, result } = this;
    switch (this.reaction.way) {
      case "return":
        return result;
      case "throw":
        throw error;
      case "resolved":
        return Promise.resolve(result);
      case "rejected":
        return Promise.reject(error);
      case "later":
        return new Promise((resolve) => {
          this.settleNow = () => resolve(result);
        });
      case "fail later":
        return new Promise((_, reject) => {
          this.settleNow = () => reject(error);
        });
      case "never":
        return new Promise(() => undefined);
      case "odd promise":
        return this.oddPromise();
    }
  }

  get canSettle(): boolean {
    return this.settleNow !== undefined && !this.isSettled;
  }

  settle(): void {
    if (!this.canSettle) return;
    this.isSettled = true;
    this.onSettled();
    this.settleNow!();
  }

  private oddPromise(): object {
    const { error, result } = this;
    const { oddity } = this.reaction;
    if (oddity === "has a then that throws") {
      return {
        // biome-ignore lint/suspicious/noThenProperty: the tests are about thenables
        get then(): never {
          throw error;
        },
      };
    }
    let settled: ((result: unknown) => void) | undefined;
    this.settleNow = () => settled?.(result);
    return {
      // biome-ignore lint/suspicious/noThenProperty: the tests are about thenables
      then: (resolve: (result: unknown) => void, reject: (error: unknown) => void) => {
        if (oddity === "throws") throw error;
        if (oddity === "rejects, then resolves") reject(error);
        if (oddity === "resolves later" && !this.isSettled) {
          settled = resolve;
          return;
        }
        resolve(result);
        if (oddity === "resolves twice") resolve(["ok", "a second result"]);
        if (oddity === "resolves, then throws") throw error;
      },
    };
  }
}
