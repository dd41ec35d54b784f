/**
 * Processes of their own that use the backplane over NATS, on Node, Bun and Deno: what happens to them, and that they
 * exit.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect } from "@nats-io/transport-node";
import { afterEach, describe, expect, it } from "vitest";
import { haveNatsServer, type NatsServer, startNatsServer } from "../../../support/nats-server.ts";
import { commandFor, haveRuntime } from "../../../support/runtimes.ts";

const SCRIPT = "test/hosts/nats.mjs";
const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));

const haveServer = haveNatsServer();

const RUNTIMES = [
  { name: "Node", command: [process.execPath, "--unhandled-rejections=strict", SCRIPT], have: true },
  { name: "Bun", command: commandFor("bun", SCRIPT), have: haveRuntime("bun") },
  { name: "Deno", command: commandFor("deno", SCRIPT), have: haveRuntime("deno") },
] as const;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Runs the script. */
const start = ([file = "", ...args]: readonly string[], ...more: string[]) => {
  const child = spawn(file, [...args, ...more], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  ends.push(() => {
    child.kill("SIGKILL");
    return closed;
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  const lines: string[] = [];
  const read = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    /** Everything that it has printed, apart from the lines that `line` has not reached. */
    lines,
    /** Reads until this line. */
    line: async (wanted: string): Promise<void> => {
      for (;;) {
        const { value, done } = await read.next();
        if (done === true) throw new Error(`it ended without "${wanted}": ${lines.join(", ")}\n${stderr}`);
        lines.push(value);
        if (value === wanted) return;
      }
    },
    /** Resolves when it has exited by itself. */
    exit: async () => {
      const [code] = await closed;
      return { code, stderr };
    },
  };
};

const startServer = async (): Promise<NatsServer> => {
  const server = await startNatsServer();
  ends.push(() => server.stop());
  return server;
};

const publish = async (server: NatsServer, text: string): Promise<void> => {
  const connection = await connect({ servers: server.url });
  connection.publish("app.t=3Aa", text);
  await connection.flush();
  await connection.close();
};

for (const { name, command, have } of RUNTIMES)
  describe.skipIf(!haveServer || !have)(`the backplane over NATS on ${name}`, () => {
    it("survives a killed server, and lets the process exit", async () => {
      const server = await startServer();
      const child = start(command, server.url);
      await child.line("listening 0");
      await publish(server, "first");
      await child.line("received t:a first");
      await server.kill9();
      await child.line("away false");
      await server.start();
      await child.line("received n:child probe");
      await child.line("settled true");
      await publish(server, "end");
      await child.line("closed");
      expect(await child.exit()).toEqual({ code: 0, stderr: "" });
      expect(child.lines.filter((line) => line === "up")).toHaveLength(2);
    });

    it("lets the process exit while the server is down", async () => {
      const server = await startServer();
      const child = start(command, server.url, "end-when-away");
      await child.line("listening 0");
      await server.kill9();
      await child.line("closed");
      expect(await child.exit()).toEqual({ code: 0, stderr: "" });
    });
  });
