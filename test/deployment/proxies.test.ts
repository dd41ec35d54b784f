/** The configurations in docs/deployment, run by the real programs in front of the server of docs/deployment/overview.md. */
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type CloseReason, handler, ok, push, text, upgrade, type WebSockOptions } from "websock-js";
import { attach } from "websock-js/node";
import { type ClientOptions, WebSocket } from "ws";
import { compiledDocumentation, fileOn, type Program, startFile } from "../support/documentation.ts";
import { openHttp2Stream } from "../support/http2-client.ts";
import { haveProxy, type ProxyName, startProxy } from "../support/proxies.ts";
import { RawClient } from "../support/raw-client.ts";

const PAGE = "docs/deployment/overview.md";
const documentation = compiledDocumentation([PAGE]);
const startServer = (): Promise<Program> => startFile(join(documentation.folder(PAGE), "server.js"));

const connect = (url: string, options: ClientOptions = {}): WebSocket => {
  const socket = new WebSocket(url, { rejectUnauthorized: false, ...options });
  onTestFinished(() => socket.terminate());
  return socket;
};
const message = async (socket: WebSocket): Promise<string> => String((await once(socket, "message"))[0]);

/** A server that is quiet, and says how its connection ended. */
const quietServer = async (options: WebSockOptions) => {
  let end: (reason: CloseReason) => void;
  const ended = new Promise<CloseReason>((resolve) => {
    end = resolve;
  });
  const Quiet = handler()({
    init: () => push(text("ready"), null),
    handleIn: () => ok(null),
    terminate: (reason) => end(reason),
  });
  const server = http.createServer((req, res) =>
    req.url === "/ready" ? res.end() : upgrade(req, Quiet, undefined, options),
  );
  attach(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, ended };
};

const installed = (["nginx", "haproxy", "caddy"] as const).filter(haveProxy);

describe.each(installed)("%s", (name: ProxyName) => {
  test("forwards the host, the client's address and the messages", async () => {
    const { url } = await startServer();
    const { port } = await startProxy(name, Number(url.port));
    const address = `ws://127.0.0.1:${port}/echo`;
    const headers = { "x-forwarded-for": "203.0.113.7" };
    const socket = connect(address, { origin: `http://127.0.0.1:${port}`, headers });
    expect(await message(socket)).toBe("you are 127.0.0.1");
    const large = "x".repeat(1_000_000);
    socket.send(large);
    expect(await message(socket)).toBe(large);

    const stranger = connect(address, { origin: "https://evil.example" });
    expect((await once(stranger, "error"))[0].message).toContain("403");
    expect((await fetch(`http://127.0.0.1:${port}/echo`)).status).toBe(426);
    expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
  });

  test("a server that drains closes its connections with 1012, and ends", async () => {
    const { url, child } = await startServer();
    const { port } = await startProxy(name, Number(url.port));
    const socket = connect(`ws://127.0.0.1:${port}/echo`);
    await message(socket);
    const exit = once(child, "exit");
    child.kill("SIGTERM");
    expect((await once(socket, "close"))[0]).toBe(1012);
    expect(await exit).toEqual([0, null]);
  });
});

// Caddy has no idle timeout.
describe.each(installed.filter((name) => name !== "caddy"))("the idle timeout of %s", (name) => {
  /** With an idle timeout of 3 seconds, instead of 75. */
  const behindShortTimeout = async (options: WebSockOptions) => {
    const { port, ended } = await quietServer(options);
    const proxy = await startProxy(name, port, (config) => config.replaceAll("75s", "3s"));
    const socket = connect(`ws://127.0.0.1:${proxy.port}/`);
    await message(socket);
    return { socket, ended };
  };

  test("is not reached, because of the heartbeat", async () => {
    const { socket } = await behindShortTimeout({ heartbeat: 400 });
    const start = performance.now();
    socket.on("ping", () => performance.now() - start > 4_000 && socket.close(4_000));
    expect((await once(socket, "close"))[0]).toBe(4_000);
  });

  test("without a heartbeat, it cuts off a client that only listens", async () => {
    const { socket, ended } = await behindShortTimeout({ heartbeat: false });
    expect((await once(socket, "close"))[0]).toBe(1006);
    expect(await ended).toMatchObject({ error: { name: "ConnectionLost" } });
  });
});

describe.each(installed.filter((name) => name !== "caddy"))("%s with TLS", (name) => {
  test("a page from https may connect", async () => {
    const { url } = await startServer();
    const { tlsPort } = await startProxy(name, Number(url.port));
    const socket = connect(`wss://127.0.0.1:${tlsPort}/echo`, { origin: `https://127.0.0.1:${tlsPort}` });
    expect(await message(socket)).toBe("you are 127.0.0.1");
  });

  test("the pages themselves are served over HTTP/2", async () => {
    const { url } = await startServer();
    const { tlsPort } = await startProxy(name, Number(url.port));
    const session = http2.connect(`https://127.0.0.1:${tlsPort}`, { rejectUnauthorized: false });
    onTestFinished(() => session.destroy());
    const statusOf = async (path: string) =>
      (await once(session.request({ ":path": path }).end(), "response"))[0][":status"];
    expect(await statusOf("/ready")).toBe(200);
    // nginx forwards the header Upgrade of a 426, which HTTP/2 does not allow.
    if (name === "nginx") await expect(statusOf("/echo")).rejects.toThrow("NGHTTP2_PROTOCOL_ERROR");
    else expect(await statusOf("/echo")).toBe(426);
  });
});

describe.skipIf(!haveProxy("haproxy"))("haproxy", () => {
  test("accepts a WebSocket over HTTP/2", async () => {
    const { url } = await startServer();
    const { tlsPort } = await startProxy("haproxy", Number(url.port));
    const stream = await openHttp2Stream(`https://127.0.0.1:${tlsPort}`, { ":path": "/echo" });
    expect(await RawClient.of(stream as never).text()).toBe("you are 127.0.0.1");
  });
});

describe.skipIf(!haveProxy("nginx"))("nginx", () => {
  test("a reload keeps open connections", async () => {
    const { url } = await startServer();
    const proxy = await startProxy("nginx", Number(url.port));
    const socket = connect(`ws://127.0.0.1:${proxy.port}/echo`);
    await message(socket);
    proxy.signal("SIGHUP");
    await proxy.printed(/gracefully shutting down/);
    socket.send("still here");
    expect(await message(socket)).toBe("still here");
  });
});

test("Kubernetes waits for the hook and for the drain before it kills the process", () => {
  const yaml = fileOn("docs/deployment/kubernetes.md", "deployment.yaml");
  const [, grace] = /terminationGracePeriodSeconds: (\d+)/.exec(yaml)!;
  const [, sleep] = /sleep: \{ seconds: (\d+) \}/.exec(yaml)!;
  const [, deadline] = /deadline: ([\d_]+)/.exec(fileOn(PAGE, "server.ts"))!;
  expect(Number(sleep) + Number(deadline!.replaceAll("_", "")) / 1_000).toBeLessThan(Number(grace));
});
