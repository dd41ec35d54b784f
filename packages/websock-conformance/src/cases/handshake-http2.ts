/** The opening handshake over HTTP/2 (RFC 8441 §4, §5), and streams that share a connection. */
import { type Row, type Run, section } from "../case.ts";
import { text } from "../frames.ts";
import { acceptFor } from "../http1.ts";
import { Failure } from "../outcome.ts";
import { answersTo } from "../owed.ts";
import type { Peer } from "../peer.ts";
import type { Http2Fields, HttpAnswer } from "../target.ts";
import { KEY, mustTellVersions, VERSIONS } from "./handshake-versions.ts";

const isSuccess = (answer: HttpAnswer | undefined): boolean =>
  answer !== undefined && answer.status >= 200 && answer.status <= 299;

const over2 = (title: string, run: (run: Run) => Promise<void>): Row => ({ title, over: "HTTP/2", run });

const accepted = (title: string, changes: Http2Fields): Row =>
  over2(title, async ({ target }) => {
    const answer = await (await target.connect!()).request(changes);
    if (answer === undefined) throw new Failure("the server reset the stream");
    const { status, headers } = answer;
    if (!isSuccess(answer)) throw new Failure(`refused with status ${status}`);
    for (const name of ["sec-websocket-extensions", "sec-websocket-protocol"]) {
      if (headers[name] !== undefined) throw new Failure(`the response has a ${name} that was not requested`);
    }
    // RFC 8441 §5 omits the key. Some clients send one anyway, and fail without the correct accept value.
    const accept = headers["sec-websocket-accept"];
    if (accept !== undefined && accept !== acceptFor(KEY)) throw new Failure(`sec-websocket-accept is ${accept}`);
  });

const echo = async (peer: Peer, word: string): Promise<void> => {
  await peer.send([text(word)]);
  await peer.answers(answersTo([text(word)]));
};

/** The request is refused, and other streams of the connection are not affected (RFC 9113 §5.4.2). */
const refused = (title: string, changes: Http2Fields, judge: (answer: HttpAnswer, run: Run) => void = () => {}): Row =>
  over2(title, async (run) => {
    const connection = await run.target.connect!();
    const beside = await run.open({}, connection);
    const answer = await connection.request(changes);
    if (isSuccess(answer)) throw new Failure(`accepted with status ${answer!.status}`);
    if (answer !== undefined) judge(answer, run);
    await echo(beside, "beside it");
    await beside.finishes();
  });

const wrongVersion = (version: string): Row => refused(version, { "sec-websocket-version": version }, mustTellVersions);

/** Sends interleaved messages, a different one on each stream. */
const together = async (peers: readonly Peer[]): Promise<void> => {
  for (const round of ["one", "two", "three"]) {
    for (const [i, peer] of peers.entries()) await peer.send([text(`${round} of ${i}`)]);
    for (const [i, peer] of peers.entries()) await peer.answers(answersTo([text(`${round} of ${i}`)]));
  }
};

const openMany = async (run: Run, count: number): Promise<Peer[]> => {
  const connection = await run.target.connect!();
  return Promise.all(Array.from({ length: count }, () => run.open({}, connection)));
};

export const overHttp2: readonly (readonly Row[])[] = [
  section("over HTTP/2, valid", [
    accepted("the example of RFC 8441", {}),
    accepted("with a key", { "sec-websocket-key": KEY }),
    accepted("unknown headers", { "x-unknown": "yes", "sec-websocket-unknown": "yes" }),
  ]),
  section("over HTTP/2, version", VERSIONS.map(wrongVersion)),
  section("over HTTP/2, refused", [
    refused("no version", { "sec-websocket-version": undefined }),
    refused("another protocol", { ":protocol": "connect-udp" }),
    refused("a CONNECT without :protocol (RFC 9113 §8.5)", {
      ":protocol": undefined,
      ":scheme": undefined,
      ":path": undefined,
    }),
    over2("a stream that ends with its request", async (run) => {
      // RFC 8441 §5: the equivalent of the end of a TCP connection.
      const answer = await (await run.target.connect!()).request({}, true);
      if (isSuccess(answer)) run.note("informational", "accepts a stream that has ended in one direction");
    }),
  ]),
  section("over HTTP/2, streams of one connection", [
    over2("20 in parallel, interleaved", async (run) => {
      const peers = await openMany(run, 20);
      await together(peers);
      for (const peer of peers) await peer.finishes();
    }),
    over2("one that ends and one that is reset: the others continue", async (run) => {
      const [ending, reset, ...others] = (await openMany(run, 5)) as [Peer, Peer, ...Peer[]];
      await together([ending, reset, ...others]);
      reset.destroy();
      await ending.finishes();
      await together(others);
      for (const peer of others) await peer.finishes();
    }),
    over2("one that is failed: the others continue", async (run) => {
      const [bad, ...others] = (await openMany(run, 5)) as [Peer, ...Peer[]];
      await bad.chop(Buffer.alloc(2, 0xff)); // reserved bits and a fragmented control frame
      await bad.fails([1002]);
      await together(others);
      for (const peer of others) await peer.finishes();
    }),
  ]),
];
