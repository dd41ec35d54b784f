/** The opening handshake (RFC 6455 §4.2). */
import { type Row, type Run, section, wireClass } from "../case.ts";
import { text } from "../frames.ts";
import { acceptFor } from "../http1.ts";
import { Failure } from "../outcome.ts";
import { answersTo } from "../owed.ts";
import type { HttpAnswer } from "../target.ts";
import { overHttp2 } from "./handshake-http2.ts";
import { KEY, mustTellVersions, VERSIONS } from "./handshake-versions.ts";

/** Changes headers of a valid request: `undefined` omits a header, a list sends it several times. */
type Changes = Readonly<Record<string, string | readonly string[] | undefined>>;

const request = ({ path, host }: Run["target"], changes: Changes, line = `GET ${path} HTTP/1.1`): string => {
  const headers: Changes = {
    Host: host,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    ...changes,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}`),
  );
  return `${[line, ...lines].join("\r\n")}\r\n\r\n`;
};

const asked = (
  title: string,
  changes: Changes,
  judge: (answer: HttpAnswer, run: Run) => void,
  line?: (path: string) => string,
): Row => ({
  title,
  over: "HTTP/1.1",
  run: async (run) => judge(await run.target.request!([request(run.target, changes, line?.(run.target.path!))]), run),
});

const mustBeAccepted = ({ status, headers }: HttpAnswer): void => {
  if (status !== 101) throw new Failure(`refused with status ${status}`);
  if (headers["sec-websocket-accept"] !== acceptFor(KEY))
    throw new Failure(`Sec-WebSocket-Accept is ${headers["sec-websocket-accept"]}`);
  if (headers.upgrade?.toLowerCase() !== "websocket")
    throw new Failure(`Upgrade of the response is ${headers.upgrade} (§4.2.2)`);
  const connection = headers.connection?.split(",").map((one) => one.trim().toLowerCase());
  if (!connection?.includes("upgrade"))
    throw new Failure(`Connection of the response is ${headers.connection} (§4.2.2)`);
  for (const name of ["sec-websocket-extensions", "sec-websocket-protocol"]) {
    if (headers[name] !== undefined) throw new Failure(`the response has a ${name} that was not requested`);
  }
};

const accepted = (title: string, changes: Changes): Row => asked(title, changes, mustBeAccepted);

/** §4.2.1: an invalid handshake MUST be answered with an error. */
const mustBeRefused = ({ status }: HttpAnswer): void => {
  if (status === 101) throw new Failure("accepted; §4.2.1 requires an error such as 400");
};

const refused = (title: string, changes: Changes, line?: (path: string) => string): Row =>
  asked(title, changes, mustBeRefused, line);

const wrongVersion = (version: string): Row =>
  asked(version, { "Sec-WebSocket-Version": version }, (answer, run) => {
    mustBeRefused(answer);
    mustTellVersions(answer, run);
  });

/** The server may decline the offer, and the connection works. */
const offers = (title: string, offer: Parameters<Run["open"]>[0], allowed: readonly (string | undefined)[]): Row => ({
  title,
  run: async (run) => {
    const peer = await run.open(offer);
    if (!allowed.includes(peer.protocol)) throw new Failure(`selected the subprotocol ${peer.protocol}`);
    await peer.send([text("works")]);
    await peer.answers(answersTo([text("works")]));
    await peer.finishes();
  },
});

export const handshake = wireClass(8, "opening handshake", [
  section("valid", [
    accepted("the example of the RFC", {}),
    accepted("Upgrade: WebSocket", { Upgrade: "WebSocket" }),
    accepted("Connection: keep-alive, Upgrade", { Connection: "keep-alive, Upgrade" }),
    accepted("Connection: UPGRADE", { Connection: "UPGRADE" }),
    accepted("Connection twice", { Connection: ["keep-alive", "upgrade"] }),
    accepted("names in lower case", {
      Upgrade: undefined,
      Connection: undefined,
      upgrade: "websocket",
      connection: "upgrade",
    }),
    accepted("unknown headers", { "X-Unknown": "yes", "Sec-WebSocket-Unknown": "yes" }),
    {
      title: "byte by byte",
      over: "HTTP/1.1",
      run: async ({ target }) => mustBeAccepted(await target.request!([...request(target, {})])),
    },
  ]),
  section("version", VERSIONS.map(wrongVersion)),
  section("refused", [
    refused("no version", { "Sec-WebSocket-Version": undefined }),
    refused("no key", { "Sec-WebSocket-Key": undefined }),
    refused("an empty key", { "Sec-WebSocket-Key": "" }),
    refused("a key of 15 bytes", { "Sec-WebSocket-Key": Buffer.alloc(15).toString("base64") }),
    refused("a key of 17 bytes", { "Sec-WebSocket-Key": Buffer.alloc(17).toString("base64") }),
    refused("a key that is not base64", { "Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!==" }),
    refused("two keys", { "Sec-WebSocket-Key": [KEY, KEY] }),
    refused("no Upgrade", { Upgrade: undefined }),
    refused("another Upgrade", { Upgrade: "h2c" }),
    refused("no Connection", { Connection: undefined }),
    refused("another Connection", { Connection: "keep-alive" }),
    refused("no Host", { Host: undefined }),
    refused("POST", { "Content-Length": "0" }, (path) => `POST ${path} HTTP/1.1`),
    refused("HTTP/1.0", {}, (path) => `GET ${path} HTTP/1.0`),
  ]),
  section("offers", [
    offers("an unknown extension", { extensions: "x-unknown; param=1" }, [undefined]),
    offers(
      "several unknown extensions, in several headers",
      { extensions: ["x-unknown", "x-other; a; b=2, x-third"] },
      [undefined],
    ),
    offers("one subprotocol: selected, or none", { protocols: ["chat.example"] }, ["chat.example", undefined]),
    offers("two subprotocols: one is selected, or none", { protocols: ["one.example", "two.example"] }, [
      "one.example",
      "two.example",
      undefined,
    ]),
  ]),
  ...overHttp2,
]);
