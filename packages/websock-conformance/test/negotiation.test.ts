import { describe, expect, test } from "vitest";
import { judgeAnswer } from "../src/negotiation.ts";

const NAME = "permessage-deflate";

describe("an allowed response", () => {
  test.each([
    [NAME, undefined],
    [NAME, NAME],
    [NAME, `${NAME}; server_no_context_takeover; client_no_context_takeover`],
    [NAME, `${NAME}; server_max_window_bits=8`],
    [`${NAME}; client_max_window_bits`, `${NAME}; client_max_window_bits=8`],
    [`${NAME}; client_max_window_bits=10`, `${NAME}; client_max_window_bits=10`],
    [`${NAME}; client_max_window_bits=10`, NAME],
    [`${NAME}; server_max_window_bits=10`, `${NAME}; server_max_window_bits="9"`],
    [`${NAME}; unknown, ${NAME}`, NAME],
    [`x-other, ${NAME}; client_max_window_bits`, `${NAME}; client_max_window_bits=15`],
  ])("%s: %s", (offer, answer) => {
    expect(() => judgeAnswer([offer], answer)).not.toThrow();
    expect(() => judgeAnswer(offer.split(", "), answer)).not.toThrow();
  });

  test("returns the negotiated parameters", () => {
    expect(judgeAnswer([NAME], undefined)).toBeUndefined();
    expect(judgeAnswer([NAME], NAME)).toEqual({
      serverNoContextTakeover: false,
      clientNoContextTakeover: false,
      serverMaxWindowBits: 15,
      clientMaxWindowBits: 15,
    });
    const all =
      "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10";
    expect(judgeAnswer([`${NAME}; ${all}`], `${NAME}; ${all}`)).toEqual({
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 9,
      clientMaxWindowBits: 10,
    });
  });
});

describe("a forbidden response", () => {
  test.each([
    [NAME, "x-other", /was not offered/],
    ["x-other", "x-other", /does not exist/],
    [NAME, `${NAME}, ${NAME}`, /more than once/],
    [NAME, `${NAME};`, /malformed/],
    [NAME, `${NAME}; unknown`, /unknown is unknown/],
    [NAME, `${NAME}; server_no_context_takeover; server_no_context_takeover`, /twice/],
    [NAME, `${NAME}; server_no_context_takeover=1`, /has the value 1/],
    [NAME, `${NAME}; server_max_window_bits`, /has the value \(none\)/],
    [NAME, `${NAME}; server_max_window_bits=16`, /has the value 16/],
    [NAME, `${NAME}; server_max_window_bits=08`, /has the value 08/],
    [NAME, `${NAME}; client_max_window_bits=10`, /was not offered/],
    [`${NAME}; client_max_window_bits`, `${NAME}; client_max_window_bits`, /has the value \(none\)/],
    [`${NAME}; client_max_window_bits=10`, `${NAME}; client_max_window_bits=11`, /larger than offered/],
    [`${NAME}; server_max_window_bits=10`, NAME, /not in the response/],
    [`${NAME}; server_max_window_bits=10`, `${NAME}; server_max_window_bits=11`, /larger than requested/],
    [`${NAME}; server_no_context_takeover`, NAME, /not in the response/],
    [`${NAME}; unknown`, NAME, /must be declined/],
    [`${NAME}; server_max_window_bits`, `${NAME}; server_max_window_bits=15`, /must be declined/],
    [`${NAME}; client_max_window_bits; client_max_window_bits`, NAME, /must be declined/],
  ])("%s: %s", (offer, answer, why) => {
    expect(() => judgeAnswer([offer], answer)).toThrow(why);
  });
});
