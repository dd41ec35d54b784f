/** The example with metrics, as its own process; and the metrics that its dashboard shows. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** A folder of its own: another test compiles the examples, too. */
const dist = `${root}examples/observe/dist`;

beforeAll(async () => {
  const tsc = `${root}node_modules/typescript/bin/tsc`;
  await promisify(execFile)(process.execPath, [tsc, "-p", `${root}examples/tsconfig.json`, "--outDir", dist]);
});
afterAll(() => rmSync(dist, { recursive: true, force: true }));

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

const { panels } = JSON.parse(readFileSync(`${root}examples/observe/dashboard.json`, "utf8")) as Dashboard;

const freePort = async (): Promise<number> => {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
};

/** Starts the example. Returns a function that reads its metrics. */
const startExample = async (): Promise<{ read: () => Promise<string>; stop: () => Promise<number | null> }> => {
  const port = await freePort();
  const env = { ...process.env, PORT: "0", METRICS_PORT: String(port), CLIENTS: "6" };
  const child = spawn(process.execPath, [`${dist}/observe/server.js`], {
    env,
    stdio: ["ignore", "pipe", 2],
  });
  const exit = once(child, "exit");
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout!, "data");
  return {
    read: async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
    stop: async () => {
      child.kill("SIGTERM");
      return (await exit)[0] as number | null;
    },
  };
};

const sumOf = (metrics: string, name: string): number =>
  metrics
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);

test("the metrics of the dashboard are exported, and a drain ends the process", async () => {
  const { read, stop } = await startExample();
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll(/by \([^)]*\)/g, "")));
  const names = [...new Set(queries.flatMap((query) => query.match(/websock_\w+/g)!))];
  expect(names.length).toBeGreaterThan(15);
  // There are closes and errors when clients have failed, vanished and left.
  let metrics = await read();
  while (sumOf(metrics, "websock_server_closes_total") < 3) metrics = await read();
  expect(names.filter((name) => !metrics.includes(`\n${name}{`))).toEqual([]);
  for (const name of [
    "websock_server_active_connections",
    "websock_server_messages_total",
    "websock_server_io_compressed_total",
    "websock_server_callback_duration_bucket",
    "websock_server_errors_total",
    "websock_pubsub_delivered_total",
  ])
    expect([name, sumOf(metrics, name) > 0]).toEqual([name, true]);
  // The labels by which the panels group are those of the metrics.
  const labels = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => [...expr.matchAll(/by \(([^)]*)\)/g)]));
  for (const label of labels.flatMap(([, list]) => list!.split(", ")))
    expect(metrics).toMatch(new RegExp(`[{,]${label}="`));
  expect(await stop()).toBe(0);
});
