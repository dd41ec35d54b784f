/** The vocabulary of the cases: a case is what is sent, and what must come of it. */

import { type Frame, ping } from "./frames.ts";
import { Failure, Unimplemented } from "./outcome.ts";
import { type Answer, answersTo } from "./owed.ts";
import type { Delivery, FailureCode, Peer, Surroundings } from "./peer.ts";
import type { Sent } from "./sent.ts";
import type { Http2Connection, Offer } from "./target.ts";

/** What a case has to work with. */
export interface Run extends Surroundings {
  /** Opens a WebSocket, that is gone when the case is over; if need be as a stream of that connection. */
  open(offer?: Offer, on?: Http2Connection): Promise<Peer>;
}

/** A case without its number. */
export interface Row {
  readonly title: string;
  readonly run: (run: Run) => Promise<void>;
  /** It is about what only this version of HTTP has: only for targets that can be asked for it. */
  readonly over?: "HTTP/1.1" | "HTTP/2";
}

export interface WireCase extends Row {
  /** Class, section, number within it. New cases go to the end of a section, so that numbers stay. */
  readonly id: string;
  readonly className: string;
}

export interface WireClass {
  readonly number: number;
  readonly name: string;
  readonly cases: readonly WireCase[];
}

/** Numbers the rows of a class, section by section. */
export const wireClass = (number: number, name: string, sections: readonly (readonly Row[])[]): WireClass => ({
  number,
  name,
  cases: sections.flatMap((rows, section) =>
    rows.map((row, i) => ({ ...row, id: `${number}.${section + 1}.${i + 1}`, className: name })),
  ),
});

/** Puts words before the titles of a section. */
export const section = (title: string, rows: readonly Row[]): Row[] =>
  rows.map((row) => ({ ...row, title: `${title}: ${row.title}` }));

export interface Conditions {
  readonly how?: Delivery;
  /** The permessage-deflate that the case needs. */
  readonly offer?: string;
  /** It needs a server that keeps the client's context from message to message; that is for the server to say. */
  readonly takeover?: boolean;
}

const opened = async (run: Run, { offer, takeover }: Conditions): Promise<Peer> => {
  if (offer === undefined) return run.open();
  const peer = await run.open({ extensions: offer });
  if (peer.params === undefined) throw new Unimplemented(`the server declined "${offer}"`);
  if (takeover && peer.params.clientNoContextTakeover) throw new Unimplemented("the server keeps no context");
  return peer;
};

/** A case of several steps. */
export const script = (title: string, steps: (peer: Peer) => Promise<void>, conditions: Conditions = {}): Row => ({
  title,
  run: async (run) => steps(await opened(run, conditions)),
});

/**
 * The frames are sound: each message comes back, each ping is answered, and nothing else comes. Large ones are made when
 * the case runs: those of all cases at once would take a GiB.
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
      // What is sent may be more than fits on the way: it is read meanwhile.
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
 * After `head` nothing that follows can make it good: the server should fail the connection then, and must after `tail`.
 * A ping tells whether it does: its answer comes only from one that goes on.
 */
export const failsFast = (title: string, code: number, head: readonly Frame[], tail: readonly Frame[]): Row =>
  script(title, async (peer) => {
    const probe = ping("are you still there?");
    await peer.send([...head, probe], "apart");
    const got = await peer.next(`the connection to be failed with ${code}`);
    if (got.kind !== "pong") return peer.failed(got, [code]);
    peer.note("non-strict", "failed only at the end of the message (fail fast: as soon as it is known)");
    await peer.send(tail);
    await peer.fails([code]);
  });

/** The same within a frame, where no ping can be sent: it waits a while before it goes on. */
export const failsFastInFrame = (title: string, code: number, head: Buffer, tail: Buffer): Row =>
  script(title, async (peer) => {
    await peer.chop(head);
    const got = await peer.nextSoon();
    if (got !== undefined) return peer.failed(got, [code]);
    peer.note("non-strict", "failed only at the end of the frame (fail fast: as soon as it is known)");
    await peer.chop(tail);
    await peer.fails([code]);
  });

/** How many connections of one case are open at once. */
const AT_ONCE = 4;

/** A case with a connection for each of many inputs; the first one that goes wrong is named. */
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
