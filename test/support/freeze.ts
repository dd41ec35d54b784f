/** Freezes a process: its connections remain open, and it does nothing. */
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** A thread that is running goes on for a moment after the signal: this returns when all of them have stopped. */
export const freeze = (child: ChildProcess): void => {
  child.kill("SIGSTOP");
  const threads = `/proc/${child.pid}/task`;
  // Only on Linux, and while the process exists.
  while (existsSync(threads) && readdirSync(threads).some((thread) => !hasStopped(`${threads}/${thread}/stat`)));
};

const hasStopped = (status: string): boolean => {
  try {
    // The state follows the name, which is in parentheses.
    return /\) [TZX] [^)]*$/.test(readFileSync(status, "latin1"));
  } catch {
    return true; // the thread has ended
  }
};
