/**
 * Properties of upgrade requests and options of any shape: handled as in the RFCs, in linear time, with documented
 * errors only.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { types } from "node:util";
import fc from "fast-check";
import { UpgradeError } from "../../src/errors.ts";
import { DEFAULT_OPTIONS, resolveOptions, type UpgradeRequest, type WebSockOptions } from "../../src/options.ts";
import { parseExtensions } from "../../src/protocol/http/extensions.ts";
import { isKey, offeredSubprotocols } from "../../src/protocol/http/handshake.ts";
import { isFieldValue, isToken, listHas, listOf } from "../../src/protocol/http/syntax.ts";
import { hasBody, selectSubprotocol, validateUpgrade, wantsWebSocket } from "../../src/upgrade-validation.ts";
import { fuzz, within } from "../support/fuzz.ts";
import {
  anyText,
  connectRequest,
  elementsOf,
  has,
  headerText,
  isSound,
  isTokenByTheBook,
  KEY,
  listText,
  request,
  token,
} from "./requests.ts";

const origins = fc.oneof(
  fc.constant(undefined),
  fc.constant("*" as const),
  fc.array(fc.constantFrom("http://example.com", "HTTPS://EXAMPLE.COM", /^http:/g, /example/y, "null"), {
    maxLength: 3,
  }),
  fc.constantFrom(...[true, false, 1, "yes", Promise.resolve(true)].map((answer) => () => answer as boolean)),
);

/** Strings that make quadratic patterns slow: a prefix, many repetitions, and a suffix that does not match. */
const pumped = fc
  .tuple(
    fc.constantFrom("", "a", ",", '"', "permessage-deflate; "),
    fc.oneof(
      fc.constantFrom("a", " ", "\t", ",", ", ", " ,", "a,", "a ", "\u00a0", '"', "\\", ";", "0", "upgrade", "http://"),
      fc.string({ unit: fc.constantFrom("a", "b", " ", ",", ";", "=", '"'), minLength: 1, maxLength: 4 }),
    ),
    fc.constantFrom("", "!", "\0", "é", "\n", " ", ",", "b"),
    fc.integer({ min: 200_000, max: 300_000 }),
  )
  .map(([beginning, many, end, length]) => beginning + many.repeat(length / many.length) + end);

/** For 200 000 characters, a quadratic algorithm takes 2·10¹⁰ steps, and a linear one a few milliseconds. */
const LINEAR_MS = 3_000;

// `compress` is not compared: it is resolved to an object with defaults, which compressions.ts tests.
const optionName = fc.constantFrom(...Object.keys(DEFAULT_OPTIONS).filter((name) => name !== "compress"));
const unknownName = anyText.filter((name) => name !== "compress");
const optionValue = fc.oneof(
  fc.anything(),
  fc.constantFrom<unknown>(
    undefined,
    null,
    0,
    -1,
    1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    "1",
    true,
    false,
    "*",
    [],
  ),
  fc.array(anyText, { maxLength: 3 }),
  fc.dictionary(fc.oneof(token, anyText), fc.oneof(anyText, fc.array(anyText, { maxLength: 2 })), { maxKeys: 3 }),
);

export const handshakes = [
  fuzz(
    "handshakes: tokens, field values and lists are parsed as in RFC 9110",
    { runs: 2_000, share: 0.3 },
    fc.property(fc.oneof(anyText, listText), token, (value, token) => {
      assert.equal(isToken(value), isTokenByTheBook(value));
      assert.equal(isFieldValue(value), /^[\t\x20-\x7e\x80-\xff]*$/.test(value));
      assert.deepEqual(listOf(value), elementsOf(value));
      assert.equal(listHas(value, token.toLowerCase()), has(value, token.toLowerCase()));
      const elements = elementsOf(value);
      const sound = elements.every(isTokenByTheBook) && new Set(elements).size === elements.length;
      assert.deepEqual(offeredSubprotocols(value), sound ? elements : undefined);
    }),
  ),

  fuzz(
    "handshakes: a key is the base64 of exactly 16 bytes",
    { runs: 1_000, share: 0.1 },
    fc.property(fc.uint8Array({ minLength: 15, maxLength: 17 }), fc.nat(), anyText, (bytes, at, text) => {
      const key = Buffer.from(bytes).toString("base64");
      assert.equal(isKey(key), bytes.length === 16);
      for (const other of [text, key.slice(0, at % 25) + text.slice(0, 1) + key.slice(at % 25)]) {
        const decoded = Buffer.from(other, "base64");
        assert.equal(isKey(other), decoded.length === 16 && decoded.toString("base64") === other);
      }
    }),
  ),

  fuzz(
    "handshakes: a request is refused exactly if it is invalid, with a response that can be sent",
    { runs: 1_000, share: 0.5 },
    fc.property(fc.oneof({ weight: 2, arbitrary: request }, connectRequest), origins, (request, origins) => {
      const options = resolveOptions({ ...(origins === undefined ? {} : { origins }) });
      let refusal: UpgradeError | undefined;
      try {
        refusal = validateUpgrade(request, options);
      } catch (error) {
        // A promise is not a decision: hosts refuse the request and report it.
        assert.ok(error instanceof TypeError && typeof origins === "function" && types.isPromise(origins()));
        return;
      }
      // With origins "*", exactly the valid requests are accepted.
      assert.equal(validateUpgrade(request, resolveOptions({ origins: "*" })) === undefined, isSound(request));
      if (refusal === undefined) {
        assert.ok(isSound(request));
        return;
      }
      assert.ok(refusal instanceof UpgradeError);
      assert.ok([400, 403, 405, 426, 501].includes(refusal.status), `status ${refusal.status}`);
      if (refusal.status === 403) assert.ok(isSound(request) && request.header("origin") !== undefined);
      else assert.equal(isSound(request), false);
      const response = refusal.getResponse();
      assert.equal(response.status, refusal.status);
      if (refusal.status === 405) assert.match(response.headers.get("allow") ?? "", /^(GET|CONNECT)$/);
      // RFC 9113 §8.2.2: HTTP/2 has no `Upgrade` header.
      const upgrade = request.httpVersion.startsWith("2") ? null : "websocket";
      if (refusal.status === 426) assert.equal(response.headers.get("upgrade"), upgrade);
    }),
  ),

  fuzz(
    "handshakes: by default, only the request's own host is an allowed origin",
    { runs: 300, share: 0.2 },
    fc.property(
      request,
      fc.constantFrom("", ":80", ":443", ":4000"),
      fc.constantFrom("http", "https"),
      (request, port, scheme) => {
        const { authority, header } = request;
        const origin = (value: string) => ({
          ...request,
          header: (name: string) => (name === "origin" ? value : header(name)),
        });
        const defaults = resolveOptions(undefined);
        if (!isSound(request)) return;
        assert.notEqual(validateUpgrade(origin("null"), defaults), undefined);
        assert.notEqual(validateUpgrade(origin(`${scheme}://not.${authority}`), defaults), undefined);
        assert.notEqual(validateUpgrade(origin(`${scheme}://evil.test/${authority}`), defaults), undefined);
        if (!/^[a-z.]+$/.test(authority!)) return;
        const isOwn = port === "" || (port === ":80" && scheme === "http") || (port === ":443" && scheme === "https");
        assert.equal(validateUpgrade(origin(`${scheme}://${authority}${port}`), defaults) === undefined, isOwn);
      },
    ),
  ),

  fuzz(
    "handshakes: the subprotocol is the first offered one that the server supports",
    { runs: 600, share: 0.2 },
    fc.property(
      fc.uniqueArray(token, { maxLength: 5 }),
      fc.array(token, { maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 3 }),
      fc.option(fc.oneof(headerText, listText), { nil: undefined }),
      fc.oneof(token, fc.constantFrom(null, undefined, "")),
      (clients, servers, shared, anything, choice) => {
        const ours = [...servers, ...shared.flatMap((i) => clients[i % clients.length] ?? [])];
        const offering = (value: string | undefined) => ({ header: () => value }) as unknown as UpgradeRequest;
        const agreed = selectSubprotocol(offering(clients.join(", ")), ours);
        assert.equal(
          agreed,
          clients.find((name) => ours.includes(name)),
        );

        for (const value of [clients.join(","), anything]) {
          const offered = offeredSubprotocols(value) ?? [];
          const picked = selectSubprotocol(offering(value), ours);
          assert.ok(picked === undefined || (offered.includes(picked) && ours.includes(picked)));
          const pick = () =>
            selectSubprotocol(offering(value), (given) => {
              assert.deepEqual(given, offered);
              return choice;
            });
          if (choice === null || choice === undefined) assert.equal(pick(), undefined);
          else if (offered.includes(choice)) assert.equal(pick(), choice);
          else assert.throws(pick, RangeError);
        }
      },
    ),
  ),

  fuzz(
    "handshakes: options are refused with a TypeError that names the option, or resolved unchanged",
    { runs: 600, share: 0.2 },
    fc.property(fc.oneof({ weight: 9, arbitrary: optionName }, unknownName), optionValue, (name, value) => {
      const options = JSON.parse("{}") as Record<string, unknown>;
      Object.defineProperty(options, name, { value, enumerable: true });
      let resolved: Record<string, unknown>;
      try {
        resolved = resolveOptions(options as WebSockOptions) as unknown as Record<string, unknown>;
      } catch (error) {
        assert.ok(error instanceof TypeError && error.message.includes(`"${name}"`), String(error));
        return;
      }
      assert.ok(Object.hasOwn(DEFAULT_OPTIONS, name), `"${name}" is no option`);
      const expected = value === undefined ? DEFAULT_OPTIONS[name as keyof typeof DEFAULT_OPTIONS] : value;
      const none = name === "heartbeat" && value === false;
      assert.deepEqual(resolved, { ...DEFAULT_OPTIONS, [name]: none ? Number.POSITIVE_INFINITY : expected });
      if (typeof value === "number") assert.ok(value > 0);
      if (name !== "headers" || value === undefined) return;
      for (const [header, values] of Object.entries(value as Record<string, string | string[]>)) {
        assert.ok(isTokenByTheBook(header));
        assert.ok(!/^(connection|upgrade|sec-websocket-(accept|protocol|extensions)|content-length)$/i.test(header));
        assert.ok([values].flat().every((one) => !/[\r\n\0]/.test(one)));
      }
    }),
  ),

  fuzz(
    "handshakes: all headers are parsed in linear time",
    { runs: 60 },
    fc.property(
      pumped,
      fc.constantFrom(
        "sec-websocket-protocol",
        "upgrade",
        "connection",
        "origin",
        "content-length",
        "sec-websocket-key",
        "sec-websocket-version",
      ),
      (value, name) => {
        const sound: Record<string, string> = {
          upgrade: "websocket",
          connection: "upgrade",
          "sec-websocket-version": "13",
          "sec-websocket-key": KEY,
          [name]: value,
        };
        const request: UpgradeRequest = {
          method: "GET",
          httpVersion: "1.1",
          url: "/",
          authority: "example.com",
          header: (name) => sound[name],
        };
        within(LINEAR_MS, () => {
          isToken(value);
          isFieldValue(value);
          isKey(value);
          listHas(value, "x");
          offeredSubprotocols(value);
          parseExtensions(value);
          wantsWebSocket(request);
          hasBody(request);
          validateUpgrade(request, DEFAULT_OPTIONS);
          validateUpgrade({ ...request, authority: value }, DEFAULT_OPTIONS);
          selectSubprotocol(request, ["x"]);
          try {
            resolveOptions({ headers: { x: value }, subprotocols: [value] });
          } catch (error) {
            assert.ok(error instanceof TypeError);
          }
        });
      },
    ),
  ),
];
