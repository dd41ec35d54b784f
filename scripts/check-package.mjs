// Packs what would be published, and checks it as its users see it: links, metadata, types, and a project that installs
// it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deadLinks } from "./packed-links.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = (file, args, cwd = root) => execFileSync(file, args, { cwd, stdio: "inherit" });
const bin = (name) => join(root, "node_modules/.bin", name);

const folder = mkdtempSync(join(tmpdir(), "websock-package-"));
try {
  run("npm", ["run", "-s", "build"]);
  const tarballs = [root, join(root, "packages/websock-conformance")].map((cwd) => {
    const dead = deadLinks(cwd);
    if (dead.length > 0) throw new Error(`links to files or headings that are not in the package:\n${dead.join("\n")}`);
    const [{ filename }] = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--pack-destination", folder], {
        cwd,
        stdio: ["ignore", "pipe", "ignore"],
      }),
    );
    const tarball = join(folder, filename);
    run(bin("publint"), ["run", tarball, "--strict"]);
    // The package is ESM only: CommonJS modules need a dynamic import.
    run(bin("attw"), [tarball, "--profile", "esm-only"]);
    return tarball;
  });

  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
  run("npm", ["install", "--no-audit", "--no-fund", "--silent", ...tarballs, `@types/node@20`], folder);
  const { dependencies = {} } = JSON.parse(execFileSync("npm", ["ls", "--json", "--omit=dev"], { cwd: folder }));
  for (const name of ["websock-js", "websock-conformance"]) {
    if (Object.keys(dependencies[name]?.dependencies ?? {}).length > 0) throw new Error(`${name} has dependencies`);
  }
  writeFileSync(
    join(folder, "app.ts"),
    `import http from "node:http";
import { type DataMessage, type HandleResult, ok, push, text, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { attach as attachWs } from "websock-js/ws";
import * as bun from "websock-js/bun";
import * as deno from "websock-js/deno";
import * as cloudflare from "websock-js/cloudflare";
import { channels } from "websock-js/channels";
import { isolate } from "websock-js/isolate";
import { PubSub } from "websock-js/pubsub";
import { connect } from "websock-js/testing";
import { encoder, type StandardSchema } from "websock-js/typed";
import { http1Target, runCases, selectCases, wireClasses } from "websock-conformance";
const Echo = {
  init: (greeting: string): HandleResult<number> => push(text(greeting), 0),
  handleIn: (message: DataMessage, count: number): HandleResult<number> => push(message, count + 1),
};
const server = http.createServer((req, res) => upgrade(req, Echo, "hello"));
const sockets = attach(server, { defaults: { timeout: 1_000 } });
const client = await connect(Echo, "hello");
client.send("hi");
if (typeof cloudflare.attach !== "function") throw new Error("websock-js/cloudflare has no attach");
if (typeof isolate !== "function") throw new Error("websock-js/isolate has no isolate()");
if (typeof channels({ pubsub: new PubSub(), channels: {} }).init !== "function") throw new Error("websock-js/channels is no handler");
const anything: StandardSchema = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
if (encoder(anything)(1).data !== "1") throw new Error("websock-js/typed does not encode");
if (typeof attachWs !== "function") throw new Error("websock-js/ws has no attach");
console.log(JSON.stringify(await client.receive()), JSON.stringify(await client.receive()), sockets.connections, ok(1)[0]);
// The adapters of other hosts can be imported anywhere, without the types of these hosts.
const served = bun.attach({ port: 0, fetch: (request: Request) => upgrade(request, Echo, "hello") });
const handled = deno.attach((request: Request) => upgrade(request, Echo, "hello"));
console.log(served.port, served.sockets.connections, handled.sockets.connections, (await handled(new Request("http://localhost"))).status);
const nobody = http1Target("ws://127.0.0.1:1/");
const [result] = await runCases(selectCases(wireClasses, nobody, ["1.1.1"]), nobody);
console.log(result?.id, result?.outcome);
`,
  );
  const flags = ["--strict", "--skipLibCheck", "false", "--exactOptionalPropertyTypes", "--target", "es2022"];
  run(bin("tsc"), [...flags, "--module", "nodenext", "--types", "node", "app.ts"], folder);
  const printed = execFileSync(process.execPath, ["app.js"], { cwd: folder, encoding: "utf8" }).trim();
  const expected = '{"opcode":"text","data":"hello"} {"opcode":"text","data":"hi"} 0 ok\n0 0 0 426\n1.1.1 failed';
  if (printed !== expected) throw new Error(`the installed package printed ${printed}`);
  const cases = execFileSync("npx", ["--no-install", "websock-conformance", "--list"], {
    cwd: folder,
    encoding: "utf8",
  });
  if (!cases.startsWith("1.1.1 ")) throw new Error(`websock-conformance --list printed ${cases}`);
  console.log("the package works where it is installed");
} finally {
  rmSync(folder, { recursive: true });
}
