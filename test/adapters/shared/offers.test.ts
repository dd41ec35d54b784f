/**
 * Tests of offered subprotocols of which none is selected: the client fails the connection, so the server reports it.
 */
import { expect, test } from "vitest";
import { type UpgradeRequest, upgrade, type WebSockOptions } from "websock-js";
import { serveHttp2 } from "../../support/http2-server.ts";
import { Echo, serve } from "../../support/node-server.ts";
import { knockHttp1, knockHttp2 } from "../../support/upgrade-client.ts";
import { serveByWs } from "../../support/ws-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever the server hands to its listener
type Route = (request: any) => void;
const servers = {
  "node:http": async (route: Route) => ({ ...(await serve(route)), knock: knockHttp1 }),
  "node:http2": async (route: Route) => ({ ...(await serveHttp2(route)), knock: knockHttp2 }),
  ws: async (route: Route) => ({ ...(await serveByWs(route)), knock: knockHttp1 }),
};
const hosts = Object.entries(servers);

const offer = (names: string) => ({ "sec-websocket-protocol": names });

test.each(hosts)("%s: one report for each handler, whoever offers what", async (_name, start) => {
  const Chat = { ...Echo, name: "chat" };
  const News = { ...Echo, name: "news" };
  const { port, errors, knock } = await start((req) => upgrade(req, req.url.startsWith("/chat") ? Chat : News));
  for (const [path, names] of [
    ["/chat?token=secret", "a, b"],
    ["/chat", "c"],
    ["/news", "d"],
    ["/news", "d"],
  ] as const) {
    const { status, client } = await knock(port, path, offer(names));
    expect(status).toBe("open");
    client.socket.destroy();
  }
  expect(errors.map(String)).toEqual([
    'TypeError: a client offered the subprotocols "a", "b", but the route /chat (chat) selected none: browsers and ' +
      "most other clients then fail the connection (ConnectionLost). List those that the route supports in the option " +
      '"subprotocols", for example ["a", "b"] (WEBSOCK_NO_SUBPROTOCOL)',
    expect.stringMatching(
      /^TypeError: a client offered the subprotocols "d", but the route \/news \(news\) selected none/,
    ),
  ]);
});

test.each<[what: string, reports: number, offered: string | undefined, options: WebSockOptions]>([
  ["agreed on", 0, "a, b", { subprotocols: ["b"] }],
  ["nothing is offered", 0, undefined, { subprotocols: ["b"] }],
  ["a list without any of them", 1, "a", { subprotocols: ["b"] }],
  ["a function that picks none", 1, "a", { subprotocols: () => undefined }],
])("%s: %i reports", async (_what, reports, offered, options) => {
  const { port, errors } = await serve((req) => upgrade(req, { ...Echo }, undefined, options));
  const { status, client } = await knockHttp1(port, "/", offered === undefined ? {} : offer(offered));
  expect(status).toBe("open");
  client.socket.destroy();
  expect(errors).toHaveLength(reports);
});

test("an offer in a request that is refused is not reported", async () => {
  const { port, errors } = await serve((req) => upgrade(req, Echo, undefined, { earlyValidateUpgrade: false }));
  const { status, client } = await knockHttp1(port, "/", { ...offer("a"), origin: "http://elsewhere.example" });
  client.socket.destroy();
  expect([status, errors]).toEqual([403, []]);
});

test("the report contains the first five names, truncated", async () => {
  const { port, errors } = await serve((req) => upgrade(req, Echo));
  const names = Array.from({ length: 50 }, (_, i) => `${i}${"x".repeat(100)}`);
  (await knockHttp1(port, "/", offer(names.join(", ")))).client.socket.destroy();
  expect(String(errors[0]).length).toBeLessThan(1200);
  expect(String(errors[0])).toContain('"4xxx');
  expect(String(errors[0])).not.toContain('"5xxx');
});

test("the function `subprotocols` is called once", async () => {
  const asked: UpgradeRequest[] = [];
  const subprotocols: WebSockOptions["subprotocols"] = ([first], request) => {
    asked.push(request);
    return first;
  };
  const { port } = await serve((req) => upgrade(req, Echo, undefined, { subprotocols }));
  (await knockHttp1(port, "/", offer("a"))).client.socket.destroy();
  expect(asked).toHaveLength(1);
});
