// Runs the protocol cases of websock-conformance against echo servers of this library and of others, and writes the
// results to docs/wire-conformance.md. Runs `npm ci` in runtimes/ first.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const inRoot = (path) => `${root}${path}`;
const run = (file, args, cwd = root) => execFileSync(file, args, { cwd, stdio: "inherit" });
const asked = (file, ...args) => execFileSync(file, args, { encoding: "utf8" }).trim();
const versionOf = (folder) => JSON.parse(readFileSync(inRoot(`${folder}/package.json`), "utf8")).version;

const only = process.argv.slice(2);

run("npm", ["run", "-s", "build"]);
run("npm", ["ci", "--no-audit", "--no-fund", "--silent"], inRoot("runtimes"));
const { countOutcomes, byClass } = await import("../packages/websock-conformance/dist/table.js");

const NODE = process.execPath;
const BUN = inRoot("runtimes/node_modules/@oven/bun-linux-x64/bin/bun");
const DENO = inRoot("runtimes/node_modules/@deno/linux-x64-glibc/deno");
const node = `Node ${process.versions.node}`;

/** The servers: the name of the column, a description, and the command that starts it. */
const SERVERS = [
  ["websock-js", `websock-js ${versionOf(".")} on ${node}`, NODE, "websock.mjs"],
  ["websock-js, deflate", `The same with \`compress: true\``, NODE, "websock.mjs", "deflate"],
  ["websock-js, HTTP/2", "The same over HTTP/2 without TLS", NODE, "websock.mjs", "deflate", "http2"],
  ["ws", `ws ${versionOf("node_modules/ws")} on ${node}`, NODE, "ws.mjs"],
  ["ws, deflate", "The same with `perMessageDeflate: { threshold: 0 }`", NODE, "ws.mjs", "deflate"],
  ["Bun", `Bun.serve of Bun ${asked(BUN, "--version")}`, BUN, "bun.mjs"],
  ["Bun, deflate", "The same with `perMessageDeflate: true`, each message compressed", BUN, "bun.mjs", "deflate"],
  ["Deno", `Deno.serve of Deno ${asked(DENO, "--version").split(" ")[1]}`, DENO, "run", "--allow-net", "deno.mjs"],
].filter(([name]) => only.length === 0 || only.includes(name));

/** Starts a server, and waits until it prints its port. */
const start = async (file, args) => {
  const child = spawn(
    file,
    args.map((arg) => (arg.endsWith(".mjs") ? inRoot(`test/support/servers/${arg}`) : arg)),
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  const port = await new Promise((resolve, reject) => {
    let printed = "";
    child.stdout.on("data", (text) => {
      printed += text;
      const [, found] = /listening (\d+)/.exec(printed) ?? [];
      if (found) resolve(found);
    });
    child.on("exit", (code) => reject(new Error(`${file} ${args.join(" ")} ended with ${code}`)));
    child.on("error", reject);
  });
  return { child, url: `${args.includes("http2") ? "http" : "ws"}://127.0.0.1:${port}/` };
};

/** @returns the results of the cases, run by the command line tool */
const conformance = (url) =>
  new Promise((resolve, reject) => {
    const child = spawn(NODE, [inRoot("packages/websock-conformance/dist/cli.js"), "--json", url], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (printed += text));
    child.on("error", reject);
    child.on("close", () => {
      try {
        resolve(JSON.parse(printed).results);
      } catch (error) {
        reject(error);
      }
    });
  });

const numberOf = (id) => Number(id.slice(id.lastIndexOf(".") + 1));

/** Joins consecutive ids: `6.4.1 – 6.4.30`. */
const ranges = (ids) => {
  const runs = [];
  for (const id of ids) {
    const last = runs.at(-1);
    if (last && numberOf(last.at(-1)) === numberOf(id) - 1) last.push(id);
    else runs.push([id]);
  }
  const named = runs.map((run) => (run.length === 1 ? run[0] : `${run[0]} – ${run.at(-1)}`)).join(", ");
  return ids.length === 1 ? named : `${named} (${ids.length})`;
};

/** Groups the cases of a section that have the same outcome, and the same reason except for numbers and quoted text. */
const grouped = (results) => {
  const groups = new Map();
  for (const { id, title, outcome, reasons } of results) {
    const reason = reasons.join("; ");
    const kind = reason.replaceAll(/[0-9a-f]{8,}|"(?:[^"\\]|\\.)*"|\d+/g, "#");
    const key = `${id.slice(0, id.lastIndexOf("."))} ${outcome} ${kind}`;
    if (!groups.has(key)) groups.set(key, { outcome, reason, title, ids: [] });
    groups.get(key).ids.push(id);
  }
  return [...groups.values()];
};

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("`", "'").replaceAll("<", "&lt;");
const row = (cells) => `| ${cells.map((one) => cell(`${one}`)).join(" | ")} |`;

const SHORT = {
  ok: "ok",
  informational: "info",
  "non-strict": "non-strict",
  unimplemented: "unimpl.",
  failed: "failed",
};

/** The outcomes other than `ok`, as the text of a cell. */
const verdict = (results) => {
  const counts = Object.entries(countOutcomes(results)).filter(([, count]) => count > 0);
  if (counts.length === 1) return counts[0][0] === "ok" ? "ok" : SHORT[counts[0][0]];
  return counts
    .filter(([name]) => name !== "ok")
    .map(([name, count]) => `${count} ${SHORT[name]}`)
    .join(", ");
};

const overview = (columns) => {
  const classes = [...byClass(columns[0].results)].map(([name, { length }]) => [name, length]);
  const perClass = classes.map(([name, count]) => [
    name,
    count,
    ...columns.map(({ results }) => verdict(byClass(results).get(name))),
  ]);
  const totals = ["ok", "informational", "non-strict", "unimplemented", "failed"].map((outcome) => [
    `all: ${outcome}`,
    "",
    ...columns.map(({ results }) => countOutcomes(results)[outcome]),
  ]);
  const head = ["class", "cases", ...columns.map(({ name }) => name)];
  return [row(head), row(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...[...perClass, ...totals].map(row)].join(
    "\n",
  );
};

/** A table of a server's outcomes other than `ok`; unimplemented cases are summarized in one line. */
const details = ({ name, what, results }) => {
  const wrong = results.filter(({ outcome }) => outcome !== "ok" && outcome !== "unimplemented");
  const missing = countOutcomes(results).unimplemented;
  const lines = [`## ${name}`, "", what];
  if (missing > 0)
    lines.push("", `${missing} cases need compression, or parameters of it, that this server does not accept.`);
  if (wrong.length === 0) lines.push("", missing > 0 ? "All other cases are ok." : "All cases are ok.");
  else {
    lines.push("", row(["cases", "outcome", "first case", "reason"]), row(["---", "---", "---", "---"]));
    for (const { ids, outcome, title, reason } of grouped(wrong)) {
      lines.push(row([ranges(ids), outcome, title, reason]));
    }
  }
  return lines.join("\n");
};

const columns = [];
for (const [name, what, file, ...args] of SERVERS) {
  const { child, url } = await start(file, args);
  const started = performance.now();
  try {
    const results = await conformance(url);
    console.log(
      `${name}: ${JSON.stringify(countOutcomes(results))}, ${Math.round((performance.now() - started) / 1000)} s`,
    );
    columns.push({ name, what, results });
  } finally {
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
  }
}

if (only.length === 0) {
  mkdirSync(inRoot("docs"), { recursive: true });
  writeFileSync(
    inRoot("docs/wire-conformance.md"),
    `# Wire conformance

<!-- Written by scripts/wire-report.mjs: run it instead of editing this. -->

The package \`websock-conformance\` contains ${columns[0].results.length} cases about the bytes of the WebSocket protocol (RFC 6455) and of permessage-deflate
(RFC 7692). A raw client runs them against a server that sends every message back. To check your own server:

\`\`\`sh
npx websock-conformance ws://localhost:4000/echo
\`\`\`

- **ok**: the server does what the RFC says.
- **informational**: the RFC leaves it open; the table says what the server does.
- **non-strict**: the server violates a SHOULD, or detects an error later than it could (invalid UTF-8 at its first byte).
- **unimplemented**: the server lacks the feature: it declines the compression that is offered.
- **failed**: the server violates a MUST, or does not send the message back. A deliberate limit counts as well, and is named.

Over HTTP/2 (RFC 8441) the cases are the same, except for the opening handshake.

Each server has its default options, except for sizes: messages of up to 32 MiB are allowed. The servers are in
\`test/support/servers\`.

${overview(columns)}

${columns.map(details).join("\n\n")}
`,
  );
}
