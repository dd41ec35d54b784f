/**
 * The server of an engine: the one at `REDIS_URL` or `NATS_URL`; without this variable, one that is started here, and
 * ends with the demo.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Engine } from "./options.ts";

const SERVERS = {
  // `--save ""`: without persistence.
  redis: { variable: "REDIS_URL", command: "redis-server", options: ["--save", "", "--bind", "127.0.0.1"] },
  nats: { variable: "NATS_URL", command: "nats-server", options: ["--addr", "127.0.0.1"] },
} as const;

/** Returns the URL. The server may not accept connections yet, so a client must try again. */
export const startEngine = async (engine: Exclude<Engine, "cluster">): Promise<string> => {
  const { variable, command, options } = SERVERS[engine];
  const given = process.env[variable];
  if (given !== undefined) {
    console.log(`connecting to the server at ${variable}`);
    return given;
  }

  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "websock-chat-"));
  const server = spawn(command, ["--port", String(port), ...options], {
    cwd: folder,
    stdio: "ignore",
    detached: true, // Ctrl+C must not end it before the nodes
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }, // where Debian installs nats-server
  });
  server.unref();
  process.once("exit", () => {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  try {
    await once(server, "spawn");
  } catch {
    console.error(`${command} is not installed: run scripts/install-engines.sh, or set ${variable}`);
    process.exit(1);
  }
  server.once("exit", () => console.error(`${command} has ended: each node is on its own`));
  return `${engine}://127.0.0.1:${port}`;
};

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
};
