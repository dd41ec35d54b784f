/** Headers and options of any shape: judged as the RFCs say, in linear time, and without an error that is not documented. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { UpgradeError } from "../../src/errors.ts";
import { DEFAULT_OPTIONS, resolveOptions, type UpgradeRequest, type WebSockOptions } from "../../src/options.ts";
import { isKey, offeredSubprotocols } from "../../src/protocol/handshake.ts";
import { isFieldValue, isToken, listHas, listOf } from "../../src/protocol/http-syntax.ts";
import { hasBody, selectSubprotocol, validateUpgrade, wantsWebSocket } from "../../src/upgrade-validation.ts";
import { fuzz, within } from "../support/fuzz.ts";
import { OPEN_BUGS } from "./open-bugs.ts";

/** RFC 9110 §5.6.2. */
const TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

const token = fc.string({ unit: fc.constantFrom(...TCHAR), minLength: 1, maxLength: 12 });

/** What a header's value may have in it: Node gives us Latin-1. */
const headerText = fc.string({
  unit: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...TCHAR) },
    { weight: 3, arbitrary: fc.constantFrom(...' \t,,;="\\/()<>@:?{}[]') },
    {
      weight: 1,
      arbitrary: fc
        .integer({ min: 0, max: 0xff })
        .map((code) => String.fromCharCode(code))
        .filter((character) => !OPEN_BUGS.noBreakSpace || !/[^\S \t]/.test(character)),
    },
  ),
  maxLength: 40,
  size: "max",
});

const anyText = fc.oneof(
  headerText,
  fc.string({ unit: "binary" }).filter((text) => !OPEN_BUGS.noBreakSpace || !/[^\S \t]/.test(text)),
  token,
);

/** A list as careful and careless clients write it. */
const listText = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 6, arbitrary: token }, { weight: 2, arbitrary: fc.constantFrom("a", "b") }, headerText),
      fc.constantFrom(",", ", ", " ,", ",,", "\t, "),
    ),
  )
  .map((elements) => elements.map(([element, comma]) => element + comma).join(""));

/** RFC 9110 §5.6.1: what is between the commas, without the spaces and tabs (and nothing else) around it. */
const elementsOf = (value: string): string[] => {
  const elements: string[] = [];
  let element = "";
  for (const character of `${value},`) {
    if (character !== ",") element += character;
    else {
      const trimmed = element.match(/^[ \t]*(.*?)[ \t]*$/s)![1]!;
      if (trimmed !== "") elements.push(trimmed);
      element = "";
    }
  }
  return elements;
};

const isTokenByTheBook = (value: string): boolean => value !== "" && [...value].every((one) => TCHAR.includes(one));

/** A sound request with some of its parts replaced by anything. */
const request: fc.Arbitrary<UpgradeRequest & { readonly headers: Readonly<Record<string, string | undefined>> }> = fc
  .record({
    method: orAny("GET", "POST", "CONNECT", "get"),
    httpVersion: orAny("1.1", "1.0", "2.0"),
    authority: orAny("example.com", "example.com:80", "localhost:4000", undefined, ""),
    upgrade: orAny("websocket", "WebSocket", "h2c, websocket", "h2c", undefined),
    connection: orAny("Upgrade", "keep-alive, UPGRADE", "keep-alive", undefined),
    "sec-websocket-version": orAny("13", "8", "13, 8", undefined),
    "sec-websocket-key": orAny(KEY, "x", undefined, KEY.slice(1)),
    "sec-websocket-protocol": fc.option(fc.oneof(listText, headerText), { nil: undefined }),
    origin: orAny("http://example.com", "https://example.com", "null", "http://localhost:4000", undefined),
    "content-length": orAny(undefined, "0", "5", "0, 5"),
    "transfer-encoding": orAny(undefined, "chunked"),
  })
  .map(({ method, httpVersion, authority, ...headers }) => ({
    method: method!,
    httpVersion: httpVersion!,
    url: "/",
    authority,
    headers,
    header: (name: string) => (headers as Record<string, string | undefined>)[name],
  }));

/** Mostly the first, which is right; now and then another, or whatever. */
function orAny(right: string | undefined, ...others: (string | undefined)[]): fc.Arbitrary<string | undefined> {
  return fc.oneof(
    { weight: 24, arbitrary: fc.constant(right) },
    { weight: 4, arbitrary: fc.constantFrom(...others) },
    { weight: 1, arbitrary: anyText },
  );
}

const origins = fc.oneof(
  fc.constant(undefined),
  fc.constant("*" as const),
  fc.array(fc.constantFrom("http://example.com", "HTTPS://EXAMPLE.COM", /^http:/g, /example/y, "null"), {
    maxLength: 3,
  }),
  fc.constantFrom(...[true, false, 1, "yes", Promise.resolve(true)].map((answer) => () => answer as boolean)),
);

const has = (value: string | undefined, token: string): boolean =>
  elementsOf(value ?? "").some((element) => element.toLowerCase() === token);

/** RFC 6455 §4.2.1, once more and apart from the library; the origin aside. */
const isSound = ({
  method,
  httpVersion,
  authority,
  headers,
}: UpgradeRequest & { headers: Record<string, string | undefined> }) => {
  const key = headers["sec-websocket-key"] ?? "";
  const offered = elementsOf(headers["sec-websocket-protocol"] ?? "");
  return (
    method === "GET" &&
    httpVersion === "1.1" &&
    (authority ?? "") !== "" &&
    headers["transfer-encoding"] === undefined &&
    [...(headers["content-length"] ?? "")].every((digit) => digit === "0") &&
    has(headers.upgrade, "websocket") &&
    has(headers.connection, "upgrade") &&
    headers["sec-websocket-version"] === "13" &&
    Buffer.from(key, "base64").length === 16 &&
    Buffer.from(key, "base64").toString("base64") === key &&
    offered.every(isTokenByTheBook) &&
    new Set(offered).size === offered.length
  );
};

/** Strings that make bad patterns slow: a beginning, something many times, an end that does not fit. */
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

/** A quadratic look at 200 000 characters takes 2·10¹⁰ steps; a linear one a few milliseconds. */
const LINEAR_MS = 3_000;

const optionName = fc.constantFrom(...Object.keys(DEFAULT_OPTIONS));
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
    "handshakes: tokens, field values and lists are read as RFC 9110 says",
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
    "handshakes: a key is the base64 of 16 octets, and nothing else is",
    { runs: 1_000, share: 0.1 },
    fc.property(fc.uint8Array({ minLength: 15, maxLength: 17 }), fc.nat(), anyText, (octets, at, text) => {
      const key = Buffer.from(octets).toString("base64");
      assert.equal(isKey(key), octets.length === 16);
      for (const other of [text, key.slice(0, at % 25) + text.slice(0, 1) + key.slice(at % 25)]) {
        const decoded = Buffer.from(other, "base64");
        assert.equal(isKey(other), decoded.length === 16 && decoded.toString("base64") === other);
      }
    }),
  ),

  fuzz(
    "handshakes: a request is refused exactly if it is unsound, and with an answer that can be sent",
    { runs: 1_000, share: 0.5 },
    fc.property(request, origins, (request, origins) => {
      const options = resolveOptions({ ...(origins === undefined ? {} : { origins }) });
      const refusal = validateUpgrade(request, options);
      // Whoever is let in by "*" without being refused for anything else is sound, and the other way round.
      assert.equal(validateUpgrade(request, resolveOptions({ origins: "*" })) === undefined, isSound(request));
      if (refusal === undefined) {
        assert.ok(isSound(request));
        return;
      }
      assert.ok(refusal instanceof UpgradeError);
      assert.ok([400, 403, 405, 426].includes(refusal.status), `status ${refusal.status}`);
      if (refusal.status === 403) assert.ok(isSound(request) && request.header("origin") !== undefined);
      else assert.equal(isSound(request), false);
      const response = refusal.getResponse();
      assert.equal(response.status, refusal.status);
      if (refusal.status === 405) assert.equal(response.headers.get("allow"), "GET");
      if (refusal.status === 426) assert.equal(response.headers.get("upgrade"), "websocket");
    }),
  ),

  fuzz(
    "handshakes: the default origins are those of the request's own host",
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
    "handshakes: the subprotocol is one of those offered, the first of them that we have",
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
    "handshakes: options are refused with a TypeError that names the option, or are what they were given as",
    { runs: 600, share: 0.2 },
    fc.property(fc.oneof({ weight: 9, arbitrary: optionName }, anyText), optionValue, (name, value) => {
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
    "handshakes: every look at a header is linear in its length",
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
