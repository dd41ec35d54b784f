// Compiles a minimal program against the newest types of every host and client of an engine, as its users do: each in a
// strict project of its own, because the types of the hosts contradict each other, and with `skipLibCheck: false`, so
// that our own are checked too.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const tsc = join(root, "node_modules/.bin/tsc");

const HANDLER = `
import { type DataMessage, type HandleResult, push, text, upgrade } from "websock-js";
const Echo = {
  init: (greeting: string): HandleResult<number> => push(text(greeting), 0),
  handleIn: (message: DataMessage, count: number): HandleResult<number> => push(message, count + 1),
};
`;

const NODE = `${HANDLER}
import http from "node:http";
import http2 from "node:http2";
import { attach } from "websock-js/node";
const listener: http.RequestListener = (req, res) => void upgrade(req, Echo, "hello");
export const sockets = [attach(http.createServer(listener)), attach(http2.createServer())];
`;

const WS = `${HANDLER}
import http from "node:http";
import { WebSocketServer } from "ws";
import { attach, host, hosting } from "websock-js/ws";
const server = http.createServer((req) => void upgrade(req, Echo, "hello"));
export const sockets = attach(new WebSocketServer({ server }), { defaults: { timeout: 1_000 } });
new WebSocketServer({ port: 0 })
  .on("connection", (socket, request) => host(socket, request, Echo, "hello"))
  .on("connection", (socket, request) => hosting().host(socket, request, Echo, "hello"));
`;

const BUN = `${HANDLER}
import { attach } from "websock-js/bun";
const server = Bun.serve(attach({ port: 0, fetch: (request) => upgrade(request, Echo, "hello") }));
export const port: number | undefined = server.port;
const app = attach(
  {
    port: 0,
    idleTimeout: 10,
    routes: {
      "/socket/:room": (request: Bun.BunRequest<"/socket/:room">) => upgrade(request, Echo, request.params.room),
      "/static": new Response("static"),
    },
    fetch: (request: Request, server: { readonly pendingWebSockets: number }) =>
      server.pendingWebSockets > 100 ? new Response(null, { status: 503 }) : upgrade(request, Echo, "hello"),
  },
  { defaults: { timeout: 1_000 } },
);
export const served = Bun.serve(app);
export const open: number = app.sockets.connections;
`;

const DENO = `${HANDLER}
import { attach } from "websock-js/deno";
const handler = attach((request: Request) => upgrade(request, Echo, "hello"));
const server = Deno.serve({ port: 0 }, handler);
export const stopped: Promise<void> = handler.sockets.drain().then(() => server.shutdown());
export const plain = Deno.serve((request) => upgrade(request, Echo, "hello"));
export const withInfo = Deno.serve(
  attach((request: Request, info: Deno.ServeHandlerInfo) =>
    info.remoteAddr.transport === "tcp" ? upgrade(request, Echo, "hello") : new Response(null, { status: 400 }),
  ),
);
`;

const CLOUDFLARE = `${HANDLER}
import { DurableObject } from "cloudflare:workers";
import { attach } from "websock-js/cloudflare";
export class Room extends DurableObject<object> {
  sockets = attach(this, this.ctx, Echo);
  override fetch(request: Request): Response {
    return upgrade(request, Echo, this.ctx.id.name ?? "");
  }
}
export default { fetch: (request) => upgrade(request, Echo, "hello") } satisfies ExportedHandler;
`;

const BACKPLANES = `
import { connect } from "@nats-io/transport-node";
import { Cluster, Redis } from "ioredis";
import { Redis as IOValkey } from "iovalkey";
import { createClient, createCluster, createSentinel } from "redis";
import { Presence, PubSub } from "websock-js/pubsub";
import { clusterBackplane, setupPrimary } from "websock-js/pubsub/cluster";
import { natsBackplane } from "websock-js/pubsub/nats";
import { redisBackplane } from "websock-js/pubsub/redis";
import { ThreadHub, threadsBackplane } from "websock-js/pubsub/threads";
const nodes = [{ host: "localhost", port: 6379 }];
const clients = [
  createClient({ RESP: 3 }),
  createCluster({ rootNodes: [{ url: "redis://localhost" }] }),
  createSentinel({ name: "main", sentinelRootNodes: nodes }),
  new Redis(),
  new Cluster(nodes),
  new IOValkey(),
];
export const pubsubs = [
  ...clients.map((client) => new PubSub({ backplane: redisBackplane({ client, prefix: "app" }) })),
  new PubSub({ backplane: natsBackplane({ connection: await connect(), prefix: "app" }) }),
  new PubSub({ backplane: threadsBackplane(new ThreadHub().connect()) }),
  new PubSub({ backplane: clusterBackplane() }),
];
setupPrimary();
export const presence = new Presence<{ name: string }>(new PubSub());
`;

/**
 * The project for each host. `lib`: the types of some hosts declare the DOM, and others need TypeScript's.
 *
 * @type {Record<string, { packages: string[], types: string[], lib: string | string[], program: string }>}
 */
const PROJECTS = {
  node: { packages: ["@types/node@latest"], types: ["node"], lib: "es2022", program: NODE },
  ws: { packages: ["@types/node@latest", "@types/ws@latest"], types: ["node", "ws"], lib: "es2022", program: WS },
  ...Object.fromEntries(
    // These versions declare `ServerWebSocket` differently.
    ["latest", "1.3", "1.2.23"].map((version) => [
      `bun-${version}`,
      { packages: [`@types/bun@${version}`], types: ["bun"], lib: "esnext", program: BUN },
    ]),
  ),
  backplanes: {
    packages: ["@types/node", "@nats-io/transport-node", "ioredis", "iovalkey", "redis"].map(
      (name) => `${name}@latest`,
    ),
    types: ["node"],
    lib: ["es2022", "dom"],
    program: BACKPLANES,
  },
  deno: { packages: ["@types/deno@latest"], types: ["deno"], lib: ["esnext", "dom"], program: DENO },
  cloudflare: {
    packages: ["@cloudflare/workers-types@latest"],
    types: ["@cloudflare/workers-types"],
    lib: "esnext",
    program: CLOUDFLARE,
  },
};

const folder = mkdtempSync(join(tmpdir(), "websock-host-types-"));
const failed = [];
try {
  execFileSync("npm", ["run", "-s", "build"], { cwd: root, stdio: "inherit" });
  const [{ filename }] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--pack-destination", folder], { cwd: root }),
  );
  for (const [name, { packages, types, lib, program }] of Object.entries(PROJECTS)) {
    const project = join(folder, name);
    mkdirSync(project);
    writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module", private: true }));
    writeFileSync(join(project, "app.ts"), program);
    const compilerOptions = {
      ...{ strict: true, skipLibCheck: false, exactOptionalPropertyTypes: true, noImplicitOverride: true },
      ...{ target: "es2022", module: "nodenext", lib: [lib].flat(), types, noEmit: true },
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["app.ts"] }));
    const install = ["install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"];
    execFileSync("npm", [...install, join(folder, filename), ...packages], { cwd: project, stdio: "inherit" });
    const { stdout, stderr, status } = spawnSync(tsc, ["-p", "."], { cwd: project, encoding: "utf8" });
    if (status !== 0 && !stdout.includes("error TS")) throw new Error(`${name}: tsc has failed: ${stdout}${stderr}`);
    // Some of the hosts' own declarations have errors with our TypeScript, which we cannot correct: they are ignored.
    const errors = stdout
      .split("\n")
      .filter((line) => /^(?:app\.ts|node_modules\/websock-js\/).*: error TS/.test(line));
    const result = errors.length === 0 ? "compiles" : "DOES NOT COMPILE";
    console.log([`${name}: ${result} with ${packages.join(", ")}`, ...errors].join("\n"));
    if (errors.length > 0) failed.push(name);
  }
} finally {
  rmSync(folder, { recursive: true });
}
if (failed.length > 0) throw new Error(`programs that do not compile: ${failed.join(", ")}`);
