import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MessageWindow } from "../../../src/protocol/deflate/window.ts";

describe("MessageWindow", () => {
  test("is the end of all messages so far", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 700, size: "max" })),
        fc.integer({ min: 8, max: 10 }),
        (messages, bits) => {
          const window = new MessageWindow(bits);
          expect(window.dictionary).toBeUndefined();
          for (const message of messages) window.add(message);
          const all = Buffer.concat(messages);
          expect(Buffer.from(window.dictionary ?? [])).toEqual(all.subarray(-(2 ** bits)));
        },
      ),
    );
  });
});
