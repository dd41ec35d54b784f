/** The answers that a correct echo server still has to send, and the orders that are allowed. */
import { BINARY, CONTINUATION, PING, TEXT } from "./frames.ts";
import { Failure, type Outcome } from "./outcome.ts";
import type { Sent } from "./sent.ts";
import type { Got } from "./server-frames.ts";

export interface Answer {
  readonly kind: "text" | "binary" | "pong";
  readonly payload: Buffer;
}

/** The answers of a correct echo server to these frames, in order. */
export const answersTo = (sent: readonly Sent[]): Answer[] => {
  const answers: Answer[] = [];
  let message: { kind: "text" | "binary"; parts: Buffer[] } | undefined;
  for (const one of sent) {
    const { opcode, payload } = one;
    if (opcode === PING) answers.push({ kind: "pong", payload });
    if (opcode > BINARY) continue;
    if (opcode !== CONTINUATION) message = { kind: opcode === TEXT ? "text" : "binary", parts: [] };
    message?.parts.push(payload);
    if (message === undefined || ("fin" in one && !one.fin)) continue;
    answers.push({ kind: message.kind, payload: Buffer.concat(message.parts) });
    message = undefined;
  }
  return answers;
};

/** Describes a message or an event, for reasons. */
export const describe = (got: Got | Answer): string => {
  if (got.kind === "end") return "the end of the connection";
  if (got.kind === "reset") return `a reset of the connection (${got.why})`;
  if (got.kind === "close") return `close ${got.code ?? "without a code"}${got.reason && ` "${got.reason}"`}`;
  const { payload } = got;
  const start = got.kind === "text" ? JSON.stringify(payload.toString("utf8", 0, 32)) : payload.toString("hex", 0, 16);
  return `${got.kind} of ${payload.length} bytes${payload.length > 0 ? `, ${start}` : ""}`;
};

/** Says where two payloads differ. */
const difference = (got: Buffer, expected: Buffer): string => {
  let at = 0;
  while (at < got.length && got[at] === expected[at]) at++;
  return `first difference at byte ${at}`;
};

export class Owed {
  private readonly answers: readonly Answer[];
  private readonly note: (outcome: Outcome, reason: string) => void;
  private readonly paid: Set<Answer> = new Set();

  constructor(answers: readonly Answer[], note: (outcome: Outcome, reason: string) => void) {
    this.answers = answers.map((answer) => ({ ...answer })); // the same answer may be owed twice
    this.note = note;
  }

  /** The missing answers, in order. */
  get open(): readonly Answer[] {
    return this.answers.filter((answer) => !this.paid.has(answer));
  }

  /**
   * Checks an answer. Messages must be in order, and so must pongs; a pong may overtake the answer to an earlier
   * message.
   *
   * @throws Failure if it is not owed
   */
  pay(got: Got): void {
    const { open } = this;
    if (got.kind === "pong") {
      const pongs = open.filter(({ kind }) => kind === "pong");
      const answered = pongs.findIndex(({ payload }) => payload.equals(got.payload));
      if (answered === -1)
        throw new Failure(`expected ${pongs[0] ? describe(pongs[0]) : "no pong"}, got ${describe(got)}`);
      // §5.5.3: it MAY answer only the most recent ping.
      if (answered > 0) this.note("informational", "does not answer every ping of a burst");
      for (const pong of pongs.slice(0, answered + 1)) this.paid.add(pong);
      return;
    }
    const message = open.find(({ kind }) => kind !== "pong");
    if (message === undefined || (got.kind !== "text" && got.kind !== "binary")) {
      throw new Failure(`expected ${open[0] ? describe(open[0]) : "nothing"}, got ${describe(got)}`);
    }
    if (got.kind !== message.kind || !got.payload.equals(message.payload)) {
      const where = got.kind === message.kind ? `; ${difference(got.payload, message.payload)}` : "";
      throw new Failure(`expected ${describe(message)}, got ${describe(got)}${where}`);
    }
    // §5.5.2: the pong SHOULD be sent as soon as practical; this message was incomplete when the ping was sent.
    if (open[0] !== message) this.note("non-strict", "answers a ping only after a message that was completed later");
    this.paid.add(message);
  }
}
