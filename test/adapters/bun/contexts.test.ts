/** AsyncLocalStorage contexts on Bun, whose handlers may be called in a context with stores. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { commandFor, haveRuntime } from "../../support/runtimes.ts";

test.runIf(haveRuntime("bun"))(
  "callbacks run in the context of upgrade, whichever context Bun calls its handlers in",
  () => {
    const [file, ...args] = commandFor("bun", "test/hosts/bun-contexts.mjs");
    const seen = (store: string) => ["init", "first", "enter", "last"].map((callback) => `${callback} ${store}`);
    expect(JSON.parse(execFileSync(file, args, { encoding: "utf8" }))).toEqual({
      "without a store, /": seen("undefined"),
      "without a store, /store": seen("request"),
      "with a store, /": seen("server"),
      "with a store, /store": seen("request"),
      "reloaded with a store, /": seen("server"),
      "reloaded with a store, /store": seen("request"),
    });
  },
);
