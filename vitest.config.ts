import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests import the package by its name, as users do, and get the sources.
    alias: [
      { find: /^websock-js$/, replacement: source("index.ts") },
      { find: /^websock-js\/node$/, replacement: source("adapters/node.ts") },
      { find: /^websock-js\/ws$/, replacement: source("adapters/ws.ts") },
      { find: /^websock-js\/bun$/, replacement: source("adapters/bun.ts") },
      { find: /^websock-js\/deno$/, replacement: source("adapters/deno.ts") },
      { find: /^websock-js\/cloudflare$/, replacement: source("adapters/cloudflare.ts") },
      { find: /^websock-js\/pubsub$/, replacement: source("pubsub/index.ts") },
      { find: /^websock-js\/pubsub\/nats$/, replacement: source("pubsub/backplanes/nats.ts") },
      { find: /^websock-js\/pubsub\/redis$/, replacement: source("pubsub/backplanes/redis.ts") },
      { find: /^websock-js\/pubsub\/cluster$/, replacement: source("pubsub/backplanes/cluster.ts") },
      { find: /^websock-js\/pubsub\/threads$/, replacement: source("pubsub/backplanes/threads.ts") },
      { find: /^websock-js\/channels$/, replacement: source("channels/index.ts") },
      { find: /^websock-js\/typed$/, replacement: source("typed/index.ts") },
      { find: /^websock-js\/opentelemetry$/, replacement: source("opentelemetry/index.ts") },
      { find: /^websock-js\/isolate$/, replacement: source("isolate/index.ts") },
      // Workers run the built package: Node 20 cannot run the sources.
      { find: /^\.\/worker-url\.ts$/, replacement: source("../test/support/worker-url.ts") },
      { find: /^websock-js\/testing$/, replacement: source("testing/index.ts") },
      {
        find: /^websock-conformance\/handlers$/,
        replacement: source("../packages/websock-conformance/src/handlers/index.ts"),
      },
      { find: /^websock-conformance$/, replacement: source("../packages/websock-conformance/src/index.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts", "packages/*/test/**/*.test.ts"],
    // Slow suites that rarely fail: see vitest.long.config.ts.
    exclude: ["**/*.long.test.ts"],
    globalSetup: "test/support/build.ts",
    setupFiles: "test/support/fast-check.ts",
    testTimeout: 30_000,
    retry: 0,
    // Many tests wait for other processes: a core that only they could use would be idle.
    maxWorkers: "100%",
    allowOnly: process.env.CI === undefined,
  },
});
