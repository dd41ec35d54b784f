/** Tests of texts that are sent as they have arrived: the bytes are the same, and no memory is kept afterwards. */
import { describe, expect, test } from "vitest";
import { MIN_LAST_TEXT } from "../../../src/protocol/short-text/last-text.ts";
import { bytesOf, type Frame, OP } from "../../support/client-frames.ts";
import { makeWire } from "../fake-wire.ts";
import { allByteOps } from "../parsing.ts";

const fragmented = (text: string): Frame[] => [
  { opcode: OP.text, payload: text.slice(0, 100), fin: false },
  { opcode: OP.continuation, payload: text.slice(100) },
];
const whole = (text: string): Frame[] => [{ opcode: OP.text, payload: text }];

describe.each(allByteOps)("a text that is sent on, with $name", ({ byteOps }) => {
  const { lastText } = byteOps;
  const lengths = [MIN_LAST_TEXT - 1, MIN_LAST_TEXT, 16_383, 16_384, 70_000];

  test.each(lengths.flatMap((n) => [`a${"x".repeat(n - 1)}`, "é".repeat(n / 2), "€🎉".repeat(n / 7)]))(
    "arrives as it came: %#",
    (text) => {
      for (const frames of [whole(text), fragmented(text)]) {
        const { stream, session, connection, receive, send } = makeWire(byteOps);
        const other = `b${text.slice(1)}`;
        session.onEvent.message = ({ data }) => {
          const size = lastText.text === data ? lastText.size : bytesOf(data).length;
          send(data as string);
          connection.send("text", ["<", data, data, ">"], size * 2 + 2);
          connection.send("binary", data, size);
          send(other);
        };
        receive(...frames, { opcode: OP.text, payload: "then" });
        stream.tick();
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

  test("keeps its place among other texts, which are written by one call to the host", () => {
    let writes = 0;
    const counting = {
      ...byteOps,
      writeLatin1: (...args: Parameters<typeof byteOps.writeLatin1>) => {
        writes++;
        byteOps.writeLatin1(...args);
      },
    };
    const { stream, session, connection, receive, send } = makeWire(counting);
    const texts = Array.from({ length: 16 }, (_, i) => `message number ${i + 10}`);
    session.onEvent.message = ({ data }) => {
      send(`before ${data}`);
      send(data as string);
      send(`behind ${data}`);
    };
    receive(...texts.map((payload) => ({ opcode: OP.text, payload })));
    stream.tick();
    expect(stream.sent).toEqual(
      texts.flatMap((text) => [`text before ${text}`, `text ${text}`, `text behind ${text}`]),
    );
    expect(writes).toBe(1);

    session.onEvent.message = ({ data }) => {
      send(data as string);
      send("other");
      connection.send("binary", data, (data as string).length);
      send(data as string);
    };
    receive(...texts.map((payload) => ({ opcode: OP.text, payload })));
    stream.tick();
    expect(stream.sent.slice(3 * texts.length)).toEqual(
      texts.flatMap((text) => [`text ${text}`, "text other", `binary ${text}`, `text ${text}`]),
    );
  });

  test("is written with U+FFFD where it was not valid UTF-8 and validateUtf8 is off", () => {
    const { stream, session, send, receive } = makeWire(byteOps, { validateUtf8: false });
    session.onEvent.message = ({ data }) => send(data as string);
    const payload = new Uint8Array(1_000).fill(0xff);
    receive({ opcode: OP.text, payload });
    stream.tick();
    expect(stream.sent).toEqual([`text ${"\ufffd".repeat(1_000)}`]);
  });
});
