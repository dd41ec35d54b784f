/** Real reverse proxies for tests, with the configurations of docs/deployment: on free ports, in a folder of their own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { selfSigned } from "../../scripts/certificate.mjs";
import { isUsable } from "../../scripts/installed.ts";
import { fileOn } from "./documentation.ts";
import { freePort } from "./redis-server.ts";

interface Kind {
  readonly file: string;
  readonly config: string;
  readonly args: readonly string[];
  /** What it prints when it accepts connections. */
  readonly ready: RegExp;
  /** What a test adds to the configuration: where it keeps its own files. */
  readonly adapt: (config: string) => string;
}

const KINDS = {
  nginx: {
    file: "/usr/sbin/nginx",
    config: "nginx.conf",
    args: ["-c", "nginx.conf", "-e", "stderr", "-g", "daemon off; pid nginx.pid; error_log stderr notice;", "-p", "."],
    ready: /start worker process \d/,
    adapt: (config) => config.replace("http {", "http {\n  access_log off;"),
  },
  haproxy: {
    file: "/usr/sbin/haproxy",
    config: "haproxy.cfg",
    args: ["-W", "-db", "-f", "haproxy.cfg"],
    ready: /Loading success/,
    adapt: (config) => config,
  },
  caddy: {
    file: "/usr/bin/caddy",
    config: "Caddyfile",
    args: ["run", "--config", "Caddyfile"],
    ready: /serving initial configuration/,
    adapt: (config) => `{\n\tadmin off\n}\n${config}`,
  },
} satisfies Record<string, Kind>;

export type ProxyName = keyof typeof KINDS;

/** Whether the proxy is installed. If not, a message is printed, and its tests are skipped; in CI, it throws. */
export const haveProxy = (name: ProxyName): boolean =>
  isUsable(existsSync(KINDS[name].file), `${name} is not installed: scripts/install-proxies.sh`);

export interface Proxy {
  /** The port for HTTP. */
  readonly port: number;
  /** The port for HTTPS, if the configuration has one. */
  readonly tlsPort: number;
  /** Sends a signal to the main process. */
  signal(name: NodeJS.Signals): void;
  /** Resolves when the proxy has printed something like that. */
  printed(like: RegExp): Promise<void>;
}

/**
 * Starts a proxy, with the configuration in the documentation, in front of a server. It ends with the test.
 *
 * @param edit changes the configuration
 */
export const startProxy = async (
  name: ProxyName,
  serverPort: number,
  edit: (config: string) => string = (config) => config,
): Promise<Proxy> => {
  const { file, config, args, ready, adapt } = KINDS[name];
  const [port, tlsPort] = [await freePort(), await freePort()];
  const folder = mkdtempSync(join(tmpdir(), `websock-js-${name}-`));
  const { key, cert } = selfSigned();
  for (const [path, text] of Object.entries({ "key.pem": key, "cert.pem": cert, "site.pem": `${cert}${key}` }))
    writeFileSync(join(folder, path), text);
  const text = adapt(edit(fileOn(`docs/deployment/${name}.md`, config)))
    .replaceAll("127.0.0.1:4000", `127.0.0.1:${serverPort}`)
    .replaceAll("8080", String(port))
    .replaceAll("8443", String(tlsPort));
  writeFileSync(join(folder, config), text);

  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = spawn(file, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const atExit = (): void => void child.kill("SIGKILL");
  process.once("exit", atExit);
  const exited = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await exited;
    process.off("exit", atExit);
    rmSync(folder, { recursive: true });
  });

  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk) => {
      output += chunk;
      child.emit("printed");
    });
  const printed = async (like: RegExp): Promise<void> => {
    while (!like.test(output)) {
      if (child.exitCode !== null) throw new Error(`${name} has ended:\n${output}`);
      await Promise.race([once(child, "printed"), exited]);
    }
  };
  await printed(ready);
  return { port, tlsPort, signal: (signal) => void child.kill(signal), printed };
};
