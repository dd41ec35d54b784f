/** Building blocks of the cases. */

import { type Frame, ping } from "./frames.ts";
import { Failure, Unimplemented } from "./outcome.ts";
import { type Answer, answersTo } from "./owed.ts";
import type { Delivery, FailureCode, Peer, Surroundings } from "./peer.ts";
import type { Sent } from "./sent.ts";
import type { Http2Connection, Offer } from "./target.ts";

/** The context of a running case. */
export interface Run extends Surroundings {
  /** Opens a WebSocket, which is destroyed when the case ends; if `on` is given, as a stream of that connection. */
  open(offer?: Offer, on?: Http2Connection): Promise<Peer>;
}

/** A case without its id. */
export interface Row {
  readonly title: string;
  readonly run: (run: Run) => Promise<void>;
  /** The case applies to this version of HTTP only. */
  readonly over?: "HTTP/1.1" | "HTTP/2";
}

export interface WireCase extends Row {
  /** Class, section, number within the section. New cases are added at the end of a section, so that ids are stable. */
  readonly id: string;
  readonly className: string;
}

export interface WireClass {
  readonly number: number;
  readonly name: string;
  readonly cases: readonly WireCase[];
}

/** Makes a class of sections, and numbers its cases. */
export const wireClass = (number: number, name: string, sections: readonly (readonly Row[])[]): WireClass => ({
  number,
  name,
  cases: sections.flatMap((rows, section) =>
    rows.map((row, i) => ({ ...row, id: `${number}.${section + 1}.${i + 1}`, className: name })),
  ),
});

/** A section: prefixes the titles of its rows. */
export const section = (title: string, rows: readonly Row[]): Row[] =>
  rows.map((row) => ({ ...row, title: `${title}: ${row.title}` }));

export interface Conditions {
  readonly how?: Delivery;
  /** The offer of permessage-deflate that the server must accept. */
  readonly offer?: string;
  /** The case needs a server that allows context takeover to the client. */
  readonly takeover?: boolean;
}

const opened = async (run: Run, { offer, takeover }: Conditions): Promise<Peer> => {
  if (offer === undefined) return run.open();
  const peer = await run.open({ extensions: offer });
  if (peer.params === undefined) throw new Unimplemented(`the server declined "${offer}"`);
  if (takeover && peer.params.clientNoContextTakeover)
    throw new Unimplemented("the server does not allow context takeover");
  return peer;
};

/** A case of several steps. */
export const script = (title: string, steps: (peer: Peer) => Promise<void>, conditions: Conditions = {}): Row => ({
  title,
  run: async (run) => steps(await opened(run, conditions)),
});

/**
 * The frames are valid: the server sends back each message, answers each ping, and sends nothing else. Pass a function
 * for large payloads: all of them together would take 1 GiB.
 */
export const echoes = (
  title: string,
  what: readonly Sent[] | (() => readonly Sent[]),
  { expected, ...conditions }: Conditions & { readonly expected?: readonly Answer[] } = {},
): Row =>
  script(
    title,
    async (peer) => {
      const sent = typeof what === "function" ? what() : what;
      // Reads while it writes: the data may exceed the buffers on the way.
      await Promise.all([peer.send(sent, conditions.how), peer.answers(expected ?? answersTo(sent))]);
      await peer.finishes();
    },
    conditions,
  );

/** The server must fail the connection. */
export const fails = (
  title: string,
  code: FailureCode | readonly FailureCode[],
  sent: readonly Sent[],
  { before = [], ...conditions }: Conditions & { readonly before?: readonly Sent[] } = {},
): Row =>
  script(
    title,
    async (peer) => {
      await peer.send([...before, ...sent], conditions.how);
      await peer.fails([code].flat(), answersTo(before));
    },
    conditions,
  );

/**
 * After `head` the message is invalid whatever follows: the server should fail the connection then, and must after
 * `tail`. A ping finds out which: only a server that continues answers it.
 */
export const failsFast = (title: string, code: number, head: readonly Frame[], tail: readonly Frame[]): Row =>
  script(title, async (peer) => {
    const probe = ping("are you still there?");
    await peer.send([...head, probe], "apart");
    const got = await peer.next(`the connection to be failed with ${code}`);
    if (got.kind !== "pong") return peer.failed(got, [code]);
    peer.note("non-strict", "fails at the end of the message, not at the first invalid byte");
    await peer.send(tail);
    await peer.fails([code]);
  });

/** The same within a frame, where a ping cannot be sent: waits a while before it sends the rest. */
export const failsFastInFrame = (title: string, code: number, head: Buffer, tail: Buffer): Row =>
  script(title, async (peer) => {
    await peer.chop(head);
    const got = await peer.nextSoon();
    if (got !== undefined) return peer.failed(got, [code]);
    peer.note("non-strict", "fails at the end of the frame, not at the first invalid byte");
    await peer.chop(tail);
    await peer.fails([code]);
  });

/** How many connections of one case are open in parallel. */
const AT_ONCE = 4;

/** A case with a connection for each of many inputs; names the first input that fails. */
export const each = (
  title: string,
  inputs: readonly Buffer[],
  steps: (peer: Peer, input: Buffer) => Promise<void>,
): Row => ({
  title: `${title} (${inputs.length} connections)`,
  run: async (run) => {
    const waiting = [...inputs];
    const wrong: unknown[] = [];
    const work = async (): Promise<void> => {
      for (let input = waiting.shift(); input !== undefined; input = waiting.shift()) {
        try {
          const peer = await run.open();
          await steps(peer, input);
          peer.destroy();
        } catch (error) {
          wrong.push(error instanceof Failure ? new Failure(`${input.toString("hex")}: ${error.message}`) : error);
          waiting.length = 0;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (wrong.length > 0) throw wrong[0];
  },
});
