/** Properties of permessage-deflate (RFC 7692): negotiation and inflation, with any input. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { type CompressOptions, resolveOptions } from "../../src/options.ts";
import { type DeflateParameters, negotiateDeflate } from "../../src/protocol/deflate/negotiation.ts";
import { MessageWindow } from "../../src/protocol/deflate/window.ts";
import { parseExtensions } from "../../src/protocol/http/extensions.ts";
import { agree } from "../protocol/compression.ts";
import { fuzz } from "../support/fuzz.ts";
import { anyText, isTokenByTheBook, listText, token } from "./requests.ts";
import { SteppedDeflate } from "./stepped-deflate.ts";
import { byte, change, changed, compressed, nearlyText, noise, pattern, size } from "./streams.ts";

interface Parameter {
  readonly name: string;
  readonly value: string | undefined;
  readonly form: "token" | "quoted" | "escaped";
}

interface Offer {
  readonly name: string;
  readonly parameters: readonly Parameter[];
}

const parameter: fc.Arbitrary<Parameter> = fc.record({
  name: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom("client_max_window_bits", "server_max_window_bits") },
    { weight: 6, arbitrary: fc.constantFrom("client_no_context_takeover", "server_no_context_takeover") },
    { weight: 1, arbitrary: token },
  ),
  value: fc.oneof(
    { weight: 6, arbitrary: fc.constant(undefined) },
    { weight: 6, arbitrary: fc.constantFrom("8", "9", "12", "15") },
    { weight: 2, arbitrary: fc.constantFrom("7", "16", "08", "015", "-8", "1e1", "true") },
    { weight: 1, arbitrary: token },
  ),
  form: fc.constantFrom("token", "token", "quoted", "escaped"),
});

const offer: fc.Arbitrary<Offer> = fc.record({
  name: fc.oneof({ weight: 6, arbitrary: fc.constant("permessage-deflate") }, token),
  parameters: fc.array(parameter, { maxLength: 3 }),
});

const space = fc.constantFrom("", "", " ", "\t", "  ");

const valueText = (value: string, form: Parameter["form"]): string =>
  form === "token" ? value : form === "quoted" ? `"${value}"` : `"${[...value].map((one) => `\\${one}`).join("")}"`;

/** RFC 6455 §9.1, with white space wherever it is allowed. */
const written = (offers: readonly Offer[], [a, b, c]: readonly [string, string, string]): string =>
  offers
    .map(({ name, parameters }) => {
      const rest = parameters.map(({ name, value, form }) =>
        value === undefined ? `${b};${c}${name}` : `${b};${c}${name}${b}=${a}${valueText(value, form)}`,
      );
      return name + rest.join("");
    })
    .join(`${c},${a}`);

/** RFC 7692 §7.1: whether a server may accept the offer. */
const isAcceptable = ({ name, parameters }: Offer): boolean =>
  name === "permessage-deflate" &&
  new Set(parameters.map(({ name }) => name)).size === parameters.length &&
  parameters.every(({ name, value }) => {
    if (/^(client|server)_no_context_takeover$/.test(name)) return value === undefined;
    if (name === "client_max_window_bits" && value === undefined) return true;
    return (
      /^(client|server)_max_window_bits$/.test(name) && ["8", "9", "10", "11", "12", "13", "14", "15"].includes(value!)
    );
  });

const bits = fc.integer({ min: 8, max: 15 });
const settings: fc.Arbitrary<CompressOptions> = fc.record(
  {
    serverNoContextTakeover: fc.boolean(),
    clientNoContextTakeover: fc.boolean(),
    serverMaxWindowBits: bits,
    clientMaxWindowBits: bits,
  },
  { requiredKeys: [] },
);

/** The parameters of the answer, after checking that the RFC allows them. */
const checkAnswer = (agreed: DeflateParameters, { parameters }: Offer): void => {
  const asked = new Map(parameters.map(({ name, value }) => [name, value]));
  const [answer, ...others] = parseExtensions(agreed.answer)!;
  assert.deepEqual([answer!.name, others], ["permessage-deflate", []]);
  const says = new Map(answer!.parameters);
  assert.equal(says.size, answer!.parameters.length, "a parameter twice");
  assert.equal(says.has("server_no_context_takeover"), agreed.serverNoContextTakeover);
  assert.equal(says.has("client_no_context_takeover"), agreed.clientNoContextTakeover);
  // §7.1.1.1, §7.1.1.2
  if (asked.has("server_no_context_takeover")) assert.equal(agreed.serverNoContextTakeover, true);
  if (asked.has("client_no_context_takeover")) assert.equal(agreed.clientNoContextTakeover, true);
  // §7.1.2.1: a value that the client requests is confirmed, with that value or a smaller one.
  const most = asked.get("server_max_window_bits");
  if (most !== undefined) assert.ok(Number(says.get("server_max_window_bits")) <= Number(most));
  if (says.has("server_max_window_bits"))
    assert.equal(Number(says.get("server_max_window_bits")), agreed.serverMaxWindowBits);
  // §7.1.2.2: only a client that offers the parameter may be required to use a smaller window.
  if (says.has("client_max_window_bits")) {
    assert.ok(asked.has("client_max_window_bits"));
    assert.equal(Number(says.get("client_max_window_bits")), agreed.clientMaxWindowBits);
  } else if (!asked.has("client_max_window_bits")) assert.equal(agreed.clientMaxWindowBits, 15);
  for (const { serverMaxWindowBits, clientMaxWindowBits } of [agreed])
    for (const bits of [serverMaxWindowBits, clientMaxWindowBits]) assert.ok(bits >= 8 && bits <= 15);
};

export const compressions = [
  fuzz(
    "compression: an offer is parsed as it was written, and no header causes an error",
    { runs: 500, share: 0.3 },
    fc.property(
      fc.array(offer, { maxLength: 4 }),
      fc.tuple(space, space, space),
      fc.oneof(anyText, listText),
      change,
      (offers, spaces, text, how) => {
        const header = written(offers, spaces);
        assert.deepEqual(
          parseExtensions(header),
          offers.map(({ name, parameters }) => ({
            name,
            parameters: parameters.map(({ name, value }) => [name, value]),
          })),
        );
        for (const any of [text, Buffer.from(changed(Buffer.from(header, "latin1"), how)).toString("latin1")]) {
          const read = parseExtensions(any);
          for (const { name, parameters } of read ?? []) {
            assert.ok(isTokenByTheBook(name));
            for (const [name, value] of parameters) assert.ok(isTokenByTheBook(name) && isTokenByTheBook(value ?? "x"));
          }
        }
      },
    ),
  ),

  fuzz(
    "compression: the first acceptable offer is accepted, with an answer that RFC 7692 allows",
    { runs: 500, share: 0.3 },
    fc.property(fc.array(offer, { maxLength: 4 }), settings, (offers, options) => {
      const { compress } = resolveOptions({ compress: options });
      const agreed = negotiateDeflate(parseExtensions(written(offers, ["", "", " "]))!, compress!);
      const accepted = offers.find(isAcceptable);
      assert.equal(agreed === undefined, accepted === undefined);
      if (agreed === undefined) return;
      checkAnswer(agreed, accepted!);
      // The client can't weaken our own settings.
      if (compress!.serverNoContextTakeover) assert.equal(agreed.serverNoContextTakeover, true);
      if (compress!.clientNoContextTakeover) assert.equal(agreed.clientNoContextTakeover, true);
      assert.ok(agreed.serverMaxWindowBits <= compress!.serverMaxWindowBits);
    }),
  ),

  fuzz(
    "compression: an invalid DEFLATE stream is 1007, a message that is too large 1009, and no other error occurs",
    { runs: 200 },
    fc.property(
      fc.array(
        fc.record({
          data: fc.oneof(
            nearlyText,
            fc.tuple(size, byte).map(([length, seed]) => pattern(length, seed)),
          ),
          how: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 2, arbitrary: change }),
          noise: fc.option(noise, { freq: 6 }),
        }),
        { maxLength: 5 },
      ),
      fc.boolean(),
      fc.constantFrom(10, 1_000, 65_536, 10_000_000),
      (messages, clientNoContextTakeover, maxMessageSize) => {
        const deflate = new SteppedDeflate();
        const { decompressor } = agree({ clientNoContextTakeover, maxMessageSize, deflate, maxInflation: 2_000 });
        let window = Buffer.alloc(0);
        let isIntact = true;
        for (const { data, how, noise } of messages) {
          const dictionary = clientNoContextTakeover || window.length === 0 ? undefined : window;
          const sound = compressed(data, dictionary && { dictionary });
          const payload = noise ?? (how === undefined ? sound : changed(sound, how));
          const isSound: boolean = isIntact && noise === null && how === undefined;
          let result: Uint8Array | number | undefined;
          try {
            result = decompressor.decompress(payload, (later) => {
              result = later instanceof ProtocolError ? later.closeCode : later;
            });
            while (deflate.isBusy) deflate.step(false);
          } catch (error) {
            if (!(error instanceof ProtocolError)) throw error;
            result = error.closeCode;
          }
          if (typeof result === "number") assert.ok(result === 1007 || result === 1009, `code ${result}`);
          else assert.ok(result!.length <= maxMessageSize, "larger than a message may be");
          if (isSound && data.length <= maxMessageSize) assert.equal(Buffer.compare(result as Uint8Array, data), 0);
          else if (isSound) assert.equal(result, 1009);
          // A connection ends with an error, and after corrupted data the window is unknown.
          if (typeof result === "number") return;
          isIntact &&= isSound;
          window = Buffer.concat([window, data]).subarray(-32_768);
        }
      },
    ),
  ),

  fuzz(
    "compression: a window contains the end of all messages",
    { runs: 200, share: 0.3 },
    fc.property(bits, fc.array(fc.tuple(fc.nat(700), byte), { maxLength: 8 }), (bits, messages) => {
      const window = new MessageWindow(bits);
      let all = Buffer.alloc(0);
      for (const [length, seed] of messages) {
        const message = pattern(length, seed);
        window.add(message);
        all = Buffer.concat([all, message]);
        const { dictionary } = window;
        if (all.length === 0) assert.equal(dictionary, undefined);
        else assert.equal(Buffer.compare(dictionary!, all.subarray(-(2 ** bits))), 0);
      }
    }),
  ),

  fuzz(
    "compression: options are refused with a TypeError that names them, or accepted by zlib",
    { runs: 300, share: 0.2 },
    fc.property(
      fc.dictionary(
        fc.oneof(
          { weight: 9, arbitrary: fc.constantFrom(...Object.keys(resolveOptions({ compress: true }).compress!)) },
          token,
        ),
        fc.oneof(
          { weight: 6, arbitrary: fc.integer({ min: -1, max: 17 }) },
          { weight: 2, arbitrary: fc.boolean() },
          fc.anything(),
        ),
        { maxKeys: 3 },
      ),
      (given) => {
        let compress: Required<CompressOptions>;
        try {
          compress = resolveOptions({ compress: given }).compress!;
        } catch (error) {
          assert.ok(error instanceof TypeError, String(error));
          assert.ok(Object.keys(given).some((name) => error.message.includes(`"compress.${name}"`)));
          return;
        }
        const { level, memLevel, threshold, serverMaxWindowBits, clientMaxWindowBits, maxInflation } = compress;
        assert.ok(level >= 0 && level <= 9 && memLevel >= 1 && memLevel <= 9 && threshold >= 0 && maxInflation > 0);
        for (const bits of [serverMaxWindowBits, clientMaxWindowBits]) assert.ok(bits >= 8 && bits <= 15);
        for (const [name, value] of Object.entries(given))
          if (value !== undefined) assert.equal(compress[name as keyof CompressOptions], value);
        // zlib accepts the result.
        const { compressor } = agree(given as CompressOptions);
        compressor.compress("x".repeat(100), 100);
      },
    ),
  ),
];
