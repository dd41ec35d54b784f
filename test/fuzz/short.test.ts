/** Runs every property briefly, with a new seed each time, or reproduces a failure from FUZZ_SEED and FUZZ_PATH. */
import { describe, test } from "vitest";
import { newSeed, tryOut } from "../support/fuzz.ts";
import { properties } from "./index.ts";

const { FUZZ_SEED, FUZZ_PATH } = process.env;

describe("fuzz", () => {
  for (const fuzz of properties) {
    test(fuzz.name, { timeout: 300_000 }, async () => {
      const seed = FUZZ_SEED === undefined ? newSeed() : Number(FUZZ_SEED);
      const { failure } = await tryOut(fuzz, { seed, ...(FUZZ_PATH && { path: FUZZ_PATH }) }, { runs: fuzz.runs });
      if (failure !== undefined) throw new Error(failure);
    });
  }
});
