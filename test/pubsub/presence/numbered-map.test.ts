/** Iterating from a number, whatever was added and deleted before. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { NumberedMap } from "../../../src/pubsub/presence/numbered-map.ts";

test("contains what was added and not deleted, in ascending order, from any number on", () => {
  // A positive step adds the number that is so much above the last one; otherwise, the entry at this index is deleted.
  const steps = fc.array(fc.integer({ min: -20, max: 3 }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.nat(300), (changes, from) => {
      const map = new NumberedMap<string>();
      let expected: number[] = [];
      let last = 0;
      for (const change of changes) {
        if (change > 0) {
          last += change;
          map.add(last, `value ${last}`);
          expected.push(last);
        } else {
          const number = expected[-change] ?? -1;
          map.delete(number);
          expected = expected.filter((each) => each !== number);
        }
      }
      expect([...map.from(from)]).toEqual(expected.filter((each) => each >= from).map((each) => `value ${each}`));
    }),
    { numRuns: 500 },
  );
});
