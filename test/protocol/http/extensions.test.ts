import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseExtensions } from "../../../src/protocol/http/extensions.ts";

describe("parseExtensions", () => {
  test.each([
    [undefined, []],
    ["", []],
    [" , ,\t", []],
    ["a", [["a"]]],
    ["a, b", [["a"], ["b"]]],
    [",a,,b,", [["a"], ["b"]]],
    ["a;x", [["a", ["x", undefined]]]],
    ["a ; x = 1 ; y , a", [["a", ["x", "1"], ["y", undefined]], ["a"]]],
    ['a; x="10"', [["a", ["x", "10"]]]],
    ['a; x="1\\0"', [["a", ["x", "10"]]]],
    ["a; x=1; x=2", [["a", ["x", "1"], ["x", "2"]]]],
  ] as const)("reads %j", (header, expected) => {
    expect(parseExtensions(header)?.map(({ name, parameters }) => [name, ...parameters])).toEqual(expected);
  });

  test.each([
    ";",
    "a b",
    "a;",
    "a;;x",
    "a; x=",
    "a; x==1",
    'a; x=""',
    'a; x="1',
    'a; x="1 2"',
    'a; x="1"2',
    'a; x="1\\',
    "a; =1",
    "=",
    "a, b c",
    "a\u00e9",
    "a/b",
  ])("refuses %j", (header) => {
    expect(parseExtensions(header)).toBeUndefined();
  });

  test("reads whatever was written by the grammar", () => {
    const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,8}$/);
    const space = fc.constantFrom("", " ", "\t ");
    const parameter = fc.tuple(token, fc.option(fc.tuple(token, fc.boolean()), { nil: undefined }));
    const offers = fc.array(fc.tuple(token, fc.array(parameter, { maxLength: 4 })), { maxLength: 4 });
    fc.assert(
      fc.property(offers, space, space, (offers, before, after) => {
        const header = offers.map(([name, parameters]) =>
          [
            name,
            ...parameters.map(([key, value]) => (value ? `${key}=${value[1] ? `"${value[0]}"` : value[0]}` : key)),
          ].join(`${before};${after}`),
        );
        expect(parseExtensions(header.join(`${before},${after}`))).toEqual(
          offers.map(([name, parameters]) => ({
            name,
            parameters: parameters.map(([key, value]) => [key, value?.[0]]),
          })),
        );
      }),
    );
  });

  test("never throws, whatever it is given", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (header) => void parseExtensions(header)));
    fc.assert(fc.property(fc.stringMatching(/^[ab;=,"\\ ]*$/), (header) => void parseExtensions(header)));
  });
});
