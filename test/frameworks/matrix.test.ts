/** Tests of every framework in every case over every HTTP version; over HTTP/1.1 with `ws` and with our own engine. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type Attachment, attach } from "websock-js/node";
import { attach as attachWs } from "websock-js/ws";
import { WebSocketServer } from "ws";
import { closeFrame, frame, TEXT } from "../support/raw-frames.ts";
import { failOnUncaught } from "../support/uncaught.ts";
import { type Knocked, knockHttp1, knockHttp2 } from "../support/upgrade-client.ts";
import { FRAMEWORKS, type Framework, type Server } from "./apps.ts";

failOnUncaught();

/** Collects the output to the console and to stderr. */
const printed: unknown[][] = [];
beforeEach(() => {
  printed.length = 0;
  for (const method of ["log", "info", "warn", "error"] as const) {
    vi.spyOn(console, method).mockImplementation((...args) => void printed.push(args));
  }
  const onWarning = (warning: Error): void => void printed.push([warning]);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
});
afterEach(() => {
  vi.restoreAllMocks();
  expect(printed).toEqual([]);
});

interface Host {
  readonly framework: Framework;
  readonly version: "HTTP/1.1" | "HTTP/2";
  readonly port: number;
  readonly sockets: Attachment;
  knock(path: string, headers?: Record<string, string>): Promise<Knocked>;
}

/** The timers that keep the process alive. */
const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;

const host = async (framework: Framework, version: Host["version"], byWs: boolean): Promise<Host> => {
  const before = timers();
  const server: Server = await framework.create(version);
  const options = { onError: (error: unknown) => printed.push([error]) };
  const sockets = byWs
    ? attachWs(new WebSocketServer({ server: server as http.Server }), options)
    : attach(server, options);
  const connections = new Set<{ destroy(): unknown }>();
  server.on("connection", (socket) => connections.add(socket));
  onTestFinished(async () => {
    for (const connection of connections) connection.destroy();
    await new Promise((resolve) => server.close(resolve));
    // A timer that is never released fails the test by its timeout. (The test runner itself has some at times.)
    while (timers() > before) await new Promise((resolve) => setImmediate(resolve));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const knock = version === "HTTP/2" ? knockHttp2 : knockHttp1;
  return { framework, version, port, sockets, knock: (path, headers) => knock(port, path, headers) };
};

const number = { "HTTP/1.1": "1.1", "HTTP/2": "2.0" } as const;

/** Expects a greeting, an echo and a close, and nothing of the framework's own response on the connection. */
const works = async ({ framework, version, sockets }: Host, knocked: Knocked, greeting: string): Promise<void> => {
  expect(knocked.status).toBe("open");
  expect(knocked.headers).toMatchObject({ "x-before": "1", "set-cookie": "a=1\nb=2" });
  if (framework.deferred) expect(knocked.headers["x-after"]).toBe("1");
  for (const name of Object.keys(knocked.headers)) expect(name).not.toMatch(/^content-|^transfer-|^etag$|^keep-/);
  const { client } = knocked;
  expect(await client.text()).toBe(`${greeting} ${number[version]}`);
  // By now, the framework has finished with its response.
  await new Promise((resolve) => setTimeout(resolve));
  expect(await client.send(frame(TEXT, "echo")).text()).toBe("echo");
  expect(sockets.connections).toBe(1);
  expect(await client.send(closeFrame(4002)).closeCode()).toBe(4002);
  client.end();
  await client.ended;
  while (sockets.connections > 0) await new Promise((resolve) => setTimeout(resolve));
};

const cases: Record<string, (host: Host) => Promise<void>> = {
  accept: async (on) => works(on, await on.knock("/socket", { "x-user": "ann" }), "hello ann "),

  "an async route": async (on) => works(on, await on.knock("/async", { "x-user": "ann" }), "hello ann "),

  "a prefix and a parameter": async (on) => works(on, await on.knock("/params/lobby"), "hello lobby "),

  subprotocol: async (on) => {
    const knocked = await on.knock("/socket", { "x-user": "ann", "sec-websocket-protocol": "other, chat" });
    expect(knocked.headers["sec-websocket-protocol"]).toBe("chat");
    await works(on, knocked, "hello ann chat");
  },

  "who may enter does": async (on) => works(on, await on.knock("/secret", { "x-user": "ann" }), "hello ann "),

  "refuse with a body": async (on) => {
    const { status, headers, body } = await on.knock("/secret", { "x-user": "eve" });
    expect({ status, body: JSON.parse(body) }).toEqual({ status: 401, body: { error: "who are you?" } });
    expect(headers).toMatchObject({ "x-refused": "1", "content-type": expect.stringContaining("application/json") });
    // h3 handles an error's headers separately, and the app on plain srvx sets none on its refusal.
    if (!/^(?:h3|srvx)/.test(on.framework.name)) expect(headers["x-before"]).toBe("1");
    expect(on.sockets.connections).toBe(0);
  },

  "UpgradeError: another version": async (on) => {
    const { status, headers } = await on.knock("/socket", { "x-user": "ann", "sec-websocket-version": "8" });
    expect(status).toBe(426);
    expect(headers["sec-websocket-version"]).toBe("13");
    expect(headers.upgrade).toBe(on.version === "HTTP/2" ? undefined : "websocket");
  },

  "UpgradeError: another origin": async (on) => {
    const { status } = await on.knock("/socket", { "x-user": "ann", origin: "https://elsewhere.example" });
    expect(status).toBe(403);
  },

  "UpgradeError: of the application": async (on) => {
    // srvx's own server answers every error with 500 and does not report it.
    if (on.framework.name === "srvx, its own server") return;
    const { status, headers } = await on.knock("/forbidden");
    if (on.framework.name === "h3 2") printed.length = 0;
    expect(status).toBe(403);
    expect(headers["x-why"]).toBe("because");
  },

  "UpgradeError: an ordinary GET": async (on) => {
    if (on.version === "HTTP/2") {
      const { status, headers } = await on.knock("/socket", { ":method": "GET", ":protocol": undefined as never });
      expect({ status, version: headers["sec-websocket-version"] }).toEqual({ status: 426, version: "13" });
      return;
    }
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ port: on.port, host: "127.0.0.1", path: "/socket", agent: false }, resolve).once("error", reject);
    });
    answer.resume();
    expect(answer).toMatchObject({ statusCode: 426, headers: { upgrade: "websocket" } });
  },

  "a route that throws after upgrade": async (on) => {
    // With a plain handler on Node (srvx's, too) nothing handles the rejection, and the response may have been sent
    // already.
    if (!on.framework.deferred || on.framework.name === "srvx, as a handler for Node") return;
    const { status } = await on.knock("/throws");
    expect(status).toBe(500);
    expect(on.sockets.connections).toBe(0);
  },
};

for (const framework of FRAMEWORKS) {
  const hosts = [...framework.versions.map((version) => [version, false] as const), ["HTTP/1.1", true] as const];
  describe.each(hosts)(`${framework.name} over %s (by ws: %s)`, (version, byWs) => {
    for (const [name, run] of Object.entries(cases)) {
      test(name, async () => run(await host(framework, version, byWs)));
    }
  });
}
