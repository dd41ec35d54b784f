/**
 * Tests of what a fetch-style host must do beyond the conformance suite. They send requests to `test/hosts/app.mjs`,
 * which the host serves in its own runtime.
 */
import { once } from "node:events";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { haveRuntime, type RunningProgram, type RuntimeName, startProgram } from "./runtimes.ts";
import { type Knocked, knockHttp1 } from "./upgrade-client.ts";

export interface FetchHost {
  readonly runtime: RuntimeName;
  readonly program: string;
  readonly args?: readonly string[];
}

/** What the tests of one host use. */
export interface Knocker {
  readonly program: RunningProgram;
  knock(path: string, headers?: Readonly<Record<string, string>>): Promise<Knocked>;
  open(path: string, protocols?: readonly string[], options?: WebSocket.ClientOptions): Promise<WebSocket>;
  /** The events since the last call. Waits until all of the expected ones have happened. */
  events(...expected: readonly string[]): Promise<string[]>;
}

export const nextMessage = async (socket: WebSocket): Promise<string> => String((await once(socket, "message"))[0]);

export const closeOf = async (socket: WebSocket): Promise<[code: number, text: string]> => {
  const [code, text] = await once(socket, "close");
  return [code, String(text)];
};

/** Starts the host, and defines the tests that all hosts share, and then those that `more` adds. */
export const testFetchHost = async (
  { runtime, program: script, args = [] }: FetchHost,
  more: (knocker: Knocker) => void,
): Promise<void> => {
  if (!haveRuntime(runtime)) {
    test.skip(`${runtime} is not installed`);
    return;
  }
  const program = await startProgram(runtime, script, { args });
  afterAll(program.stop);
  const knocker: Knocker = {
    program,
    knock: (path, headers) => knockHttp1(program.port, path, headers),
    open: async (path, protocols = [], options = {}) => {
      const socket = new WebSocket(`ws://127.0.0.1:${program.port}${path}`, [...protocols], {
        perMessageDeflate: false,
        ...options,
      });
      await once(socket, "open");
      return socket;
    },
    events: async (...expected) => {
      const events: string[] = [];
      do {
        events.push(...((await (await fetch(`http://127.0.0.1:${program.port}/events`)).json()) as string[]));
      } while (!expected.every((event) => events.includes(event)));
      return events;
    },
  };
  // Discards the events of the previous test.
  beforeEach(() => knocker.events());
  describe("every fetch-style host", () => testAll(knocker));
  describe(`${runtime} alone`, () => more(knocker));
};

const testAll = ({ knock, open, events, program }: Knocker): void => {
  /** Whether the app is served without `attach`, and so without `onError`: reports are printed. */
  const isBare = program.child.spawnargs.includes("bare");
  /** The number of refused requests, according to the attachment. */
  const count = async (): Promise<number> =>
    (await (await fetch(`http://127.0.0.1:${program.port}/count`)).json()) as number;

  test("an asynchronous handler receives a flood of messages in order, one callback at a time", async () => {
    const socket = await open("/slow");
    const got: string[] = [];
    socket.on("message", (data) => got.push(String(data)));
    const sent = Array.from({ length: 500 }, (_, i) => String(i));
    for (const data of sent) socket.send(data);
    while (got.length < sent.length) await once(socket, "message");
    expect(got).toEqual(sent);
    socket.close();
    expect(await events("terminate remote")).not.toContain("overlapping callbacks");
  });

  test("a callback that rejects closes its connection with 1011, and no other connection", async () => {
    const [other, socket] = [await open("/echo"), await open("/rejecting")];
    socket.send("1");
    expect(await closeOf(socket)).toEqual([1011, ""]);
    other.send("still there?");
    expect(await nextMessage(other)).toBe("still there?");
    expect(await events("terminate error Error")).toContain("terminate error Error");
    other.terminate();
  });

  test("a client that disconnects without a closing handshake: ConnectionLost", async () => {
    const socket = await open("/echo");
    socket.terminate();
    await events("terminate error ConnectionLost");
  });

  test.each([1005, 1006, 1015, 999, 2999])("close code %i is never sent", async (code) => {
    const socket = await open("/closing");
    socket.send(String(code));
    expect(await closeOf(socket)).toEqual([1011, ""]);
    await events("terminate error RangeError");
  });

  test("all messages of a stop arrive before the close frame", async () => {
    const socket = await open("/pushing");
    let got = 0;
    socket.on("message", (data) => (got += String(data).length));
    socket.send("8192");
    expect(await closeOf(socket)).toEqual([1000, ""]);
    expect(got).toBe(8192 * 1024);
  });

  test("a message that is too big: 1009", async () => {
    const socket = await open("/small");
    socket.send("ten bytes.");
    expect(await nextMessage(socket)).toBe("ten bytes.");
    socket.send("éééééé");
    expect((await closeOf(socket))[0]).toBe(1009);
    await events("terminate error ProtocolError");
  });

  test("a handler receives the facts of its connection, with the selected subprotocol", async () => {
    const { client, headers } = await knock("/facts?token=secret", { "Sec-WebSocket-Protocol": "a, b" });
    expect(headers["sec-websocket-protocol"]).toBe("b");
    const facts = { arg: "an argument", httpVersion: "1.1", method: "GET", path: "/facts", subprotocol: "b" };
    expect(JSON.parse(await client.text())).toMatchObject(facts);
    client.socket.destroy();
  });

  test("only a subprotocol that the route supports is selected; a list of offers needs no spaces", async () => {
    const none = await knock("/echo", { "Sec-WebSocket-Protocol": "a, b" });
    expect([none.status, none.headers["sec-websocket-protocol"]]).toEqual(["open", undefined]);
    const one = await knock("/facts", { "Sec-WebSocket-Protocol": "a,b,chat" });
    expect([one.status, one.headers["sec-websocket-protocol"], one.headers["x-own"]]).toEqual(["open", "b", "1"]);
    for (const { client } of [none, one]) client.socket.destroy();
  });

  test("compression is not negotiated without the option `compress`", async () => {
    const { status, headers, client } = await knock("/echo", { "Sec-WebSocket-Extensions": "permessage-deflate" });
    expect([status, headers["sec-websocket-extensions"]]).toEqual(["open", undefined]);
    client.socket.destroy();
  });

  test.each([
    ["another origin", { Origin: "http://elsewhere.example" }, 403, "origin"],
    ["another version", { "Sec-WebSocket-Version": "8" }, 426, "Sec-WebSocket-Version must be 13"],
    ["an invalid key", { "Sec-WebSocket-Key": "short" }, 400, "Sec-WebSocket-Key"],
    ["invalid offers of subprotocols", { "Sec-WebSocket-Protocol": "a, a" }, 400, "Sec-WebSocket-Protocol"],
  ])("refused: %s, whether the request is validated early or late", async (_what, headers, status, body) => {
    const before = await count();
    for (const path of ["/echo", "/late"]) {
      const answer = await knock(path, headers);
      // Each refusal is published once, at the latest when the request is answered.
      const refused = (await events()).filter((event) => event.startsWith("refused"));
      expect(refused).toEqual([`refused ${status} GET ${path} echo`]);
      expect([path, answer.status]).toEqual([path, status]);
      expect(answer.body).toContain(body);
      if (status === 426) expect(answer.headers["sec-websocket-version"]).toBe("13");
      answer.client.socket.destroy();
    }
    expect(await count()).toBe(before + 2);
  });

  test("a function of the application that throws: 500 and one report for each function, early or late", async () => {
    for (const path of ["/throwing", "/throwing?late"]) {
      for (const headers of [{ Origin: "http://127.0.0.1" }, { "Sec-WebSocket-Protocol": "a" }]) {
        const answer = await knock(path, headers);
        expect([path, answer.status]).toEqual([path, 500]);
        expect(answer.body).not.toContain("of the application");
        answer.client.socket.destroy();
      }
    }
    const reported = (await events()).filter((event) => event.includes("of the application"));
    expect(reported).toHaveLength(program.child.spawnargs.includes("bare") ? 0 : 2);
  });

  test("an ordinary request to the route: 426", async () => {
    const before = await count();
    const response = await fetch(`http://127.0.0.1:${program.port}/echo?token=secret`);
    expect([response.status, await response.text()]).toEqual([426, expect.stringContaining("upgrade request")]);
    expect(await events()).toContain("refused 426 GET /echo echo");
    expect(await count()).toBe(before + 1);
  });

  test("a route that selects none of the offered subprotocols: reported once, with the remedy", async () => {
    for (const offered of ["a, b", "c"]) {
      const { status, client } = await knock("/offers?token=secret", { "Sec-WebSocket-Protocol": offered });
      expect(status).toBe("open");
      client.socket.destroy();
    }
    const reported = (await events()).filter((event) => event.startsWith("reported"));
    if (isBare) return;
    expect(reported).toEqual([
      'reported a client offered the subprotocols "a", "b", but the route /offers (offers) selected none: browsers and ' +
        "most other clients then fail the connection (ConnectionLost). List those that the route supports in the option " +
        '"subprotocols", for example ["a", "b"] (WEBSOCK_NO_SUBPROTOCOL)',
    ]);
  });

  test("the app's own refusal is sent unchanged", async () => {
    const bare = await knock("/refused");
    expect([bare.status, bare.body]).toEqual([401, '{"error":"who are you?"}']);
    const hono = await knock("/hono/room/lobby");
    expect([hono.status, hono.body, hono.headers["x-after"]]).toEqual([401, '{"error":"who are you?"}', "1"]);
    for (const { client } of [bare, hono]) client.socket.destroy();
  });

  test("a second upgrade throws", async () => {
    (await open("/twice")).close();
    await events("this request has already been upgraded (WEBSOCK_ALREADY_ANSWERED)");
  });

  test("options without effect are reported, each once", async () => {
    for (let i = 0; i < 2; i++) (await open("/options")).close();
    const reported = (await events()).filter((event) => event.startsWith("reported"));
    expect(reported).toHaveLength(isBare ? 0 : 2);
  });
};
