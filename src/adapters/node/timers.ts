/** `process.nextTick`, saved when this module is loaded: fake timers may replace it later. */
import process from "node:process";

export const nextTick: typeof process.nextTick = process.nextTick.bind(process);
