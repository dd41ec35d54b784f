/** The fast path of text messages reads the same as JSON.parse, or nothing. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { readText } from "../../src/channels/serializer.ts";

const ref = fc.oneof(fc.constant(null), fc.string({ maxLength: 5 }), fc.nat().map(String), fc.nat());
const message = fc.tuple(
  ref,
  ref,
  fc.oneof(fc.string(), fc.constant("room:1")),
  fc.oneof(fc.string(), fc.constantFrom("phx_join", "say")),
  fc.jsonValue(),
);

test("messages are read as JSON.parse reads them, with spaces and with escapes", () => {
  fc.assert(
    fc.property(message, fc.nat(2), (elements, spaces) => {
      const [joinRef, refOf, topic, event, payload] = JSON.parse(JSON.stringify(elements));
      expect(readText(JSON.stringify(elements, null, spaces))).toEqual({ joinRef, ref: refOf, topic, event, payload });
    }),
  );
});

test("anything else is read as nothing, or as JSON.parse reads it", () => {
  const part = fc.constantFrom('"', '"1"', '"a"', "null", ",", "[", "]", "{}", "1", " ", "\\", '"\\""', "nul");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
      const data = parts.join("");
      const read = readText(data);
      let parsed: unknown;
      try {
        parsed = JSON.parse(data);
      } catch {
        parsed = undefined;
      }
      if (!Array.isArray(parsed)) expect(read).toBeUndefined();
      else if (read !== undefined)
        expect([read.joinRef, read.ref, read.topic, read.event, read.payload]).toEqual(parsed.slice(0, 5));
    }),
    { numRuns: 2_000 },
  );
});

test("more elements are ignored", () => {
  expect(readText('["1","2","room:1","say",{},1]')).toEqual({
    joinRef: "1",
    ref: "2",
    topic: "room:1",
    event: "say",
    payload: {},
  });
});
