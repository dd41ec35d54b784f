/** What arrived and is sent on as it is: the same octets, whatever way it takes, and nothing is kept alive afterwards. */
import { describe, expect, test } from "vitest";
import { LAST_TEXT_FROM } from "../../../src/protocol/short-text/last-text.ts";
import { type Frame, OP, octetsOf } from "../../support/client-frames.ts";
import { makeWire } from "../fake-wire.ts";
import { allOctets } from "../parsing.ts";

const fragmented = (text: string): Frame[] => [
  { opcode: OP.text, payload: text.slice(0, 100), fin: false },
  { opcode: OP.continuation, payload: text.slice(100) },
];
const whole = (text: string): Frame[] => [{ opcode: OP.text, payload: text }];

describe.each(allOctets)("a text that is sent on, with $name", ({ byteOps }) => {
  const { lastText } = byteOps;
  const lengths = [LAST_TEXT_FROM - 1, LAST_TEXT_FROM, 16_383, 16_384, 70_000];

  test.each(lengths.flatMap((n) => [`a${"x".repeat(n - 1)}`, "é".repeat(n / 2), "€🎉".repeat(n / 7)]))(
    "arrives as it came: %#",
    (text) => {
      for (const frames of [whole(text), fragmented(text)]) {
        const { stream, session, connection, receive, send } = makeWire(byteOps);
        const other = `b${text.slice(1)}`;
        session.on.message = ({ data }) => {
          const size = lastText.text === data ? lastText.size : octetsOf(data).length;
          send(data as string);
          connection.send("text", ["<", data, data, ">"], size * 2 + 2);
          connection.send("binary", data, size);
          send(other);
        };
        receive(...frames, { opcode: OP.text, payload: "then" });
        stream.turn();
        expect(stream.sent.slice(0, 4)).toEqual([
          `text ${text}`,
          `text <${text}${text}>`,
          `binary ${text}`,
          `text ${other}`,
        ]);
        expect(lastText.text).toBe("");
        expect(lastText.bytes.buffer.byteLength).toBe(0);
      }
    },
  );

  test("is written as it was shown where it was not UTF-8, and nobody asked", () => {
    const { stream, session, send, receive } = makeWire(byteOps, { validateUtf8: false });
    session.on.message = ({ data }) => send(data as string);
    const payload = new Uint8Array(1_000).fill(0xff);
    receive({ opcode: OP.text, payload });
    stream.turn();
    expect(stream.sent).toEqual([`text ${"\ufffd".repeat(1_000)}`]);
  });
});
