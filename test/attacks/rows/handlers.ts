/** Errors of the application's callbacks, which a client can cause if it sends the right message. */
import { expect } from "vitest";
import { closeFrame, frame, PING, PONG, TEXT } from "../../support/raw-frames.ts";
import type { Attack } from "../attack.ts";
import type { Field } from "../field.ts";

/** Ten clients make each of the handlers fail, and receive close frames with 1011 and no text. */
const fail = async (field: Field, handlers: readonly string[], opcode = TEXT): Promise<void> => {
  await field.many(10 * handlers.length, async (i) => {
    const name = handlers[i % handlers.length]!;
    const client = await field.connect(name);
    if (!name.startsWith("init-")) client.send(frame(opcode, "x"));
    if (opcode === PING) expect((await client.frame()).opcode).toBe(PONG);
    expect((await client.frame()).payload).toEqual(Buffer.from([1011 >> 8, 1011 & 0xff]));
    await client.reset();
  });
};

/** The errors that `onError` receives for invalid results; see `handlers.mjs`. */
const NONSENSE = {
  undefined:
    'TypeError: "CALLBACK" returned undefined; it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  null: 'TypeError: "CALLBACK" returned null; it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  string:
    'TypeError: "CALLBACK" returned "ok"; it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  number:
    'TypeError: "CALLBACK" returned 42; it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  symbol:
    'TypeError: "CALLBACK" returned Symbol(ok); it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  object:
    'TypeError: "CALLBACK" returned an object; it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  late: 'TypeError: "CALLBACK" returned "later"; it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  "empty-list":
    'TypeError: "CALLBACK" returned an array that begins with undefined; it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  "no-state":
    'TypeError: "CALLBACK" returned an array that begins with "ok"; it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  tag: 'TypeError: "CALLBACK" returned an array that begins with "okay"; it must return ok(…), push(…), reply(…) or stop(…) (WEBSOCK_INVALID_RESULT)',
  "message-data":
    "TypeError: data must be a string, a Uint8Array, an ArrayBuffer or an array of them, not 5; to send any other value, use json(value) (WEBSOCK_UNSENDABLE_MESSAGE)",
  "message-opcode":
    'TypeError: not a message: its opcode is "frame"; valid opcodes are "text", "binary", "ping" and "pong". To send an object, use json({ … }) (WEBSOCK_UNSENDABLE_MESSAGE)',
  "close-code":
    "RangeError: close code 1005 must not be sent; valid codes are 1000–1003, 1007–1014 and 3000–4999 (RFC 6455 §7.4) (WEBSOCK_INVALID_CLOSE)",
} as const;

/** The same for results that throw when they are inspected. */
const TRAPS = {
  trap: "Error: trapped",
  revoked: "TypeError: Cannot perform 'IsArray' on a proxy that has been revoked",
} as const;

const nonsenseNames = Object.keys(NONSENSE);
const nonsenseCount = 10 * nonsenseNames.length;

export const handlerAttacks: readonly Attack[] = [
  {
    name: "callbacks that throw and reject",
    answer: "1011 without the error's text; `onError` and `terminate` get the error, no other connection is affected",
    bounds: { peakMiB: 24, cpuMs: 1500 },
    happens: { init: 60, Error: 30, normal: 10 },
    told: [
      ...["handleControl: Error: thrown", "handleIn: Error: rejected", "handleIn: Error: thrown"],
      ...["init: Error: rejected", "init: Error: thrown", "terminate: Error: thrown"],
    ],
    run: async (field) => {
      await fail(field, ["throws", "rejects", "init-throws", "init-rejects"]);
      await fail(field, ["control-throws"], PING);
      await field.many(10, async () => {
        const client = await field.connect("terminate-throws");
        expect(await client.send(frame(TEXT, "stop")).closeCode()).toBe(1000);
        await client.reset();
      });
    },
  },
  {
    name: "callbacks that return an invalid result",
    answer: "1011; `onError` gets an error that names the result and the callback",
    bounds: { peakMiB: 32, cpuMs: 2500 },
    happens: {
      init: 2 * nonsenseCount,
      // An invalid result of `init` still contains a state if it has the right shape, and then `terminate` is called.
      TypeError: nonsenseCount - 10 + 20,
      RangeError: 10 + 10,
    },
    told: ["handleIn", "init"].flatMap((callback) =>
      Object.values(NONSENSE).map((error) => `${callback}: ${error.replace("CALLBACK", callback)}`),
    ),
    run: async (field) => {
      await fail(
        field,
        nonsenseNames.map((name) => `nonsense-${name}`),
      );
      await fail(
        field,
        nonsenseNames.map((name) => `init-nonsense-${name}`),
      );
    },
  },
  {
    name: "callbacks that return an object whose properties throw",
    answer: "the same as if they had thrown the error",
    bounds: { peakMiB: 24, cpuMs: 1500 },
    happens: { init: 40, Error: 10, TypeError: 10 },
    told: ["handleIn", "init"].flatMap((callback) => Object.values(TRAPS).map((error) => `${callback}: ${error}`)),
    run: (field) =>
      fail(
        field,
        Object.keys(TRAPS).flatMap((name) => [`nonsense-${name}`, `init-nonsense-${name}`]),
      ),
  },
  {
    name: "callbacks that never settle, and clients that close",
    answer: "abandoned after `closeTimeout`: the close frame is answered, `terminate` runs with the last state",
    bounds: { peakMiB: 24, cpuMs: 1500 },
    happens: { init: 60, remote: 40 }, // `terminate` is not called without a state, if `init` never settled
    told: [
      'handleIn: Error: "handleIn" did not settle within "closeTimeout" and was abandoned (WEBSOCK_CALLBACK_ABANDONED)',
      'init: Error: "init" did not settle within "closeTimeout" and was abandoned (WEBSOCK_CALLBACK_ABANDONED)',
    ],
    run: async (field) => {
      const names = ["hangs", "init-hangs", "terminate-hangs"] as const;
      const clients = await field.many(60, (i) => field.connect(names[i % 3]!));
      for (const [i, client] of clients.entries()) {
        if (names[i % 3] === "hangs") client.send(frame(TEXT, "x"));
        client.send(closeFrame(4001));
      }
      // The connections whose close waits for no callback.
      for (const [i, client] of clients.entries()) if (i % 3 === 2) expect(await client.closeCode()).toBe(4001);
      await field.closing(40);
      await field.advance(5_000);
      for (const [i, client] of clients.entries()) if (i % 3 < 2) expect(await client.closeCode()).toBe(4001);
      await Promise.all(clients.map((client) => client.reset()));
    },
  },
];
