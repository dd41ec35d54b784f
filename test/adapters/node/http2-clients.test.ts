/** Tests with independent client implementations over HTTP/2. */
import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { isUsable } from "../../../scripts/installed.ts";
import { servePage } from "../../support/http2-page.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

const root = fileURLToPath(new URL("../../../", import.meta.url));
const node26 = `${root}runtimes/node_modules/node-26/bin/node`;
/** Not a devDependency, because its installation prints a warning on Node 20. */
const undici = `${root}runtimes/node_modules/undici/index.js`;
const python = "/usr/bin/python3";

const have = (what: string, there: () => boolean, cure: string): boolean =>
  isUsable(there(), `there is no ${what}: ${cure}`);

const havePython = have(
  "Python with h2 and wsproto",
  () => {
    try {
      execFileSync(python, ["-c", "import h2, wsproto"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  },
  "bash scripts/install-python-clients.sh",
);

const haveNode26 = have("Node 26 or undici", () => existsSync(node26) && existsSync(undici), "npm ci in runtimes/");

/** Runs a client in a process of its own, and returns the lines of JSON that it prints. */
const linesOf = async (file: string, args: readonly string[]): Promise<unknown[]> => {
  const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0", NODE_NO_WARNINGS: "1" };
  const { stdout, stderr } = await promisify(execFile)(file, args, { cwd: root, env });
  expect(stderr).toBe("");
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
};

test.skipIf(!havePython)("Python's h2 and wsproto", async () => {
  const { port, opened, errors } = await servePage();
  expect(await linesOf(python, ["test/clients/http2_client.py", String(port)])).toEqual([
    { status: "200", subprotocol: "chat", accept: null },
    { echo: ["TextMessage", "grüß dich"] },
    { echo: ["BytesMessage", true] },
    { pong: "are you there" },
    { refused: "426", versions: "13" },
    { answered: 4002 },
    { closed: [4002, "as you wish"] },
    { ended: true },
  ]);
  expect(opened.map(({ connection }) => connection?.closeCode)).toEqual([4002, undefined, 4002]);
  expect(errors).toEqual([]);
});

describe.skipIf(!haveNode26)("Node 26", () => {
  const script = (head: string): string => `
    ${head}
    const socket = open(["other", "chat"]);
    socket.binaryType = "arraybuffer";
    const tell = (fact) => console.log(JSON.stringify(fact));
    const large = new Uint8Array(1_000_000).map((_, i) => i);
    const steps = [
      () => socket.send("how?"),
      () => socket.send(large),
      () => socket.send("close me"),
    ];
    const next = () => steps.shift()?.();
    socket.onopen = () => { tell({ protocol: socket.protocol }); next(); };
    socket.onmessage = ({ data }) => {
      tell(typeof data === "string" ? data : Buffer.from(data).equals(Buffer.from(large)));
      next();
    };
    socket.onerror = (event) => tell({ error: String(event.error ?? event.message) });
    socket.onclose = ({ code, reason, wasClean }) => { tell({ code, reason, wasClean }); clearInterval(alive); };
    // HTTP/2 streams of Node's client do not keep a process alive.
    const alive = setInterval(() => {}, 1_000);`;

  test.each([
    ["its global WebSocket", "const open = (protocols) => new WebSocket(URL, protocols);"],
    [
      "undici 8",
      `import { Agent, WebSocket } from ${JSON.stringify(pathToFileURL(undici).href)};
       const dispatcher = new Agent({ allowH2: true, connect: { rejectUnauthorized: false } });
       const open = (protocols) => new WebSocket(URL, { protocols, dispatcher });`,
    ],
  ])("%s opens an extended CONNECT, because the server offers it", async (_name, head) => {
    const { port, opened, errors } = await servePage();
    const source = script(head).replace("URL", JSON.stringify(`wss://localhost:${port}/socket`));
    expect(await linesOf(node26, ["--input-type=module", "--eval", source])).toEqual([
      { protocol: "chat" },
      "HTTP/2.0 CONNECT",
      true,
      { code: 4002, reason: "as you wish", wasClean: true },
    ]);
    expect(opened).toMatchObject([
      {
        connection: {
          httpVersion: "2.0",
          method: "CONNECT",
          subprotocol: "chat",
          compression: expect.stringMatching(/^permessage-deflate/),
        },
      },
    ]);
    // The large message is repetitive, so that both directions, or at least ours, are compressed.
    expect(opened[0]!.sent).toBeLessThan(100_000);
    expect(errors).toEqual([]);
  });
});
