/** What each entry of the package loads: no host's code on another host. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const IMPORT = /^(?:import|export)\b[^"']*?["']([^"']+)["'];$/gm;

/** Every module that is loaded with this one, and what comes from elsewhere. */
const loadedWith = (file: string, loaded = new Set<string>()): Set<string> => {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  for (const [, from] of readFileSync(file, "utf8").matchAll(IMPORT)) {
    if (from!.startsWith(".")) loadedWith(resolve(dirname(file), from!), loaded);
    else loaded.add(from!);
  }
  return loaded;
};

const load = (entry: string): string[] => [...loadedWith(dist + entry)].map((file) => file.replace(dist, ""));

test.each([
  ["index.js", /^adapters\/|^node:/],
  ["adapters/deno/index.js", /^adapters\/(?:bun|ws|cloudflare|node)/],
  ["adapters/bun.js", /^adapters\/(?:deno|ws|cloudflare|node)/],
  ["adapters/deno.js", /^adapters\/(?:bun|ws|cloudflare|node)/],
  ["adapters/node.js", /^adapters\/(?:bun|deno|cloudflare|ws)/],
  ["adapters/ws.js", /^adapters\/(?:bun|deno|cloudflare)|^ws$/],
  ["adapters/cloudflare/index.js", /^adapters\/(?:bun|deno|ws|node)|^node:/],
  ["adapters/cloudflare.js", /^adapters\/(?:bun|deno|ws|node)|^node:/],
  ["pubsub/index.js", /^adapters\/(?!shared\/)|^node:/],
  ["opentelemetry/index.js", /^adapters\/|^node:(?!diagnostics_channel$)/],
  ["isolate/index.js", /^adapters\/(?!shared\/)|^testing\//],
  ["testing/index.js", /^adapters\/(?:bun|deno|cloudflare|ws|node)|^node:/],
  ["typed/index.js", /^adapters\/|^pubsub\/|^session\/session|^node:/],
])("%s loads nothing of other hosts", (entry, foreign) => {
  const loaded = load(entry);
  const known: Record<string, string> = {
    "index.js": "upgrade.js",
    "opentelemetry/index.js": "node:diagnostics_channel",
    "pubsub/index.js": "session/self.js",
    "typed/index.js": "standard-schema.js",
    "isolate/index.js": "session/self.js",
  };
  expect(loaded).toContain(known[entry] ?? "session/session.js");
  expect(loaded.filter((file) => foreign.test(file))).toEqual([]);
});
