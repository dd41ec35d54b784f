/** Texts are read as JSON.parse reads them, also those of a kind that the reader has seen before. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { TextReader } from "../../src/channels/text-reader.ts";

const ref = fc.oneof(fc.constant(null), fc.string({ maxLength: 5 }), fc.nat().map(String), fc.nat());
const topic = fc.oneof(fc.string(), fc.constantFrom("room:1", 'room:"', "room:\\"));
const event = fc.oneof(fc.string(), fc.constantFrom("phx_join", "say"));
const message = fc.tuple(ref, ref, topic, event, fc.jsonValue());

/** As JSON.parse reads it: `undefined` unless it is an array of the five elements, and perhaps others. */
const parse = (data: string) => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed) || parsed.length < 5) return undefined;
  const [joinRef, refOf, topicOf, eventOf, payload] = parsed;
  const isRef = (value: unknown): boolean => value === null || typeof value === "number" || typeof value === "string";
  if (!isRef(joinRef) || !isRef(refOf) || typeof topicOf !== "string" || typeof eventOf !== "string") return undefined;
  return { joinRef, ref: refOf, topic: topicOf, event: eventOf, payload };
};

test("messages are read as JSON.parse reads them, with spaces and with escapes", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(message, fc.nat(2)), { maxLength: 8 }), (messages) => {
      const reader = new TextReader();
      for (const [elements, spaces] of messages) {
        const data = JSON.stringify(elements, null, spaces);
        expect(reader.read(data)).toEqual(parse(data));
      }
    }),
  );
});

test("messages of the same kind are read as JSON.parse reads them", () => {
  const kind = fc.tuple(ref, topic, event);
  const later = fc.tuple(ref, fc.jsonValue());
  fc.assert(
    fc.property(fc.array(kind, { minLength: 1, maxLength: 6 }), fc.array(fc.tuple(fc.nat(5), later)), (kinds, all) => {
      const reader = new TextReader();
      for (const [i, [refOf, payload]] of all) {
        const [joinRef, topicOf, eventOf] = kinds[i % kinds.length]!;
        const data = JSON.stringify([joinRef, refOf, topicOf, eventOf, payload]);
        expect(reader.read(data)).toEqual(parse(data));
      }
    }),
  );
});

test("a message of a known kind, with parts in place of its ref and its payload", () => {
  const part = fc.constantFrom('"', '"1"', "a", "null", ",", "[", "]", "{}", "1", " ", "\\", '\\"', "\n", '"room:1"');
  const parts = fc.array(part, { maxLength: 8 }).map((all) => all.join(""));
  const reader = new TextReader();
  expect(reader.read('["1","2","room:1","say",{}]')).toMatchObject({ ref: "2" });
  fc.assert(
    fc.property(parts, parts, (refText, rest) => {
      const data = `["1","${refText}","room:1","say",${rest}`;
      expect(reader.read(data)).toEqual(parse(data));
    }),
    { numRuns: 2_000 },
  );
});

test("anything else is read as nothing, or as JSON.parse reads it", () => {
  const part = fc.constantFrom('"', '"1"', '"a"', "null", ",", "[", "]", "{}", "1", " ", "\\", '"\\""', "nul");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
      const data = parts.join("");
      expect(new TextReader().read(data)).toEqual(parse(data));
    }),
    { numRuns: 2_000 },
  );
});

test("more elements are ignored", () => {
  const reader = new TextReader();
  for (let i = 0; i < 2; i++)
    expect(reader.read('["1","2","room:1","say",{},1]')).toEqual({
      joinRef: "1",
      ref: "2",
      topic: "room:1",
      event: "say",
      payload: {},
    });
});

test("a ref of more than 255 characters is not read", () => {
  const reader = new TextReader();
  const withRef = (length: number) => JSON.stringify(["1", "r".repeat(length), "room:1", "say", {}]);
  expect(reader.read(withRef(255))).toBeDefined();
  expect(reader.read(withRef(256))).toBeUndefined();
});
