/** `process.nextTick` as it was when this module was loaded: fake timers may replace it. */
import process from "node:process";

export const nextTick: typeof process.nextTick = process.nextTick.bind(process);
