import { describe, expect, test } from "vitest";
import { DEFAULT_OPTIONS, resolveOptions, type WebSockOptions } from "../src/options.ts";

/** Options as JavaScript may give them. */
const resolve = (options: unknown) => resolveOptions(options as WebSockOptions);

const NUMBERS = [
  "timeout",
  "heartbeat",
  "maxFrameSize",
  "maxMessageSize",
  "maxFragments",
  "maxBuffered",
  "closeTimeout",
  "fullsweepAfter",
  "maxHeapSize",
] as const;

describe("the defaults", () => {
  const defaults = {
    timeout: 60_000,
    heartbeat: 30_000,
    maxFrameSize: Number.POSITIVE_INFINITY,
    maxMessageSize: 10_000_000,
    maxFragments: 524_288,
    validateUtf8: true,
    earlyValidateUpgrade: true,
    subprotocols: [],
    headers: {},
    origins: undefined,
    maxBuffered: 16 * 1024 * 1024,
    closeTimeout: 5_000,
    fullsweepAfter: undefined,
    maxHeapSize: undefined,
  };

  test("are those of the documentation", () => {
    expect(resolveOptions(undefined)).toMatchObject(defaults);
    expect(resolveOptions({})).toMatchObject(defaults);
  });

  test("are what an option that is undefined gets", () => {
    const nothing = Object.fromEntries(Object.keys(DEFAULT_OPTIONS).map((name) => [name, undefined]));
    expect(resolve(nothing)).toEqual(DEFAULT_OPTIONS);
  });

  test("can't be changed by accident", () => {
    expect(Object.isFrozen(DEFAULT_OPTIONS)).toBe(true);
    expect(Object.isFrozen(DEFAULT_OPTIONS.headers)).toBe(true);
    expect(Object.isFrozen(DEFAULT_OPTIONS.subprotocols)).toBe(true);
    const resolved = resolveOptions({ timeout: 1 });
    expect(resolved.timeout).toBe(1);
    expect(DEFAULT_OPTIONS.timeout).toBe(60_000);
  });

  test("of a server lie below the options of an upgrade", () => {
    const server = resolveOptions({ timeout: 1, maxFragments: 7, heartbeat: false });
    const resolved = resolveOptions({ timeout: 2, maxFragments: undefined } as object, server);
    expect(resolved).toEqual({ ...server, timeout: 2 });
    expect(resolveOptions(undefined, server)).toBe(server);
    expect(resolveOptions({ heartbeat: 5 }, server).heartbeat).toBe(5);
  });
});

describe("options that are accepted", () => {
  test.each<WebSockOptions>([
    ...NUMBERS.map((name) => ({ [name]: 1 })),
    ...NUMBERS.map((name) => ({ [name]: Number.POSITIVE_INFINITY })),
    { timeout: 0.5 },
    { heartbeat: 0.5 },
    { closeTimeout: 0.5 },
    { validateUtf8: false },
    { earlyValidateUpgrade: false },
    { subprotocols: ["chat", "v2.chat"] },
    { subprotocols: () => undefined },
    { headers: {} },
    { headers: { "x-a": "1", "Set-Cookie": ["a=1", "b=2"], "x-tab": "a\tb", "x-latin": "é" } },
    { headers: Object.assign(Object.create(null), { "x-a": "1" }) },
    { origins: "*" },
    { origins: [] },
    { origins: ["https://example.com", /\.example\.com$/] },
    { origins: () => true },
  ])("%o", (options) => {
    expect(resolveOptions(options)).toEqual({ ...DEFAULT_OPTIONS, ...options });
  });

  test("heartbeat: false is never", () => {
    expect(resolveOptions({ heartbeat: false }).heartbeat).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("options that throw", () => {
  const numbers: [string, unknown][] = NUMBERS.flatMap((name) =>
    [0, -0, -1, Number.NaN, Number.NEGATIVE_INFINITY, "1", null, true, [], {}, 1n, () => 1].map(
      (value): [string, unknown] => [name, value],
    ),
  );
  const whole = NUMBERS.filter((name) => !["timeout", "heartbeat", "closeTimeout"].includes(name));
  const booleans = ["validateUtf8", "earlyValidateUpgrade"].flatMap((name) =>
    [0, 1, "true", null, {}].map((value): [string, unknown] => [name, value]),
  );
  const reserved = [
    "Connection",
    "upgrade",
    "Sec-WebSocket-Accept",
    "sec-websocket-extensions",
    "Sec-WebSocket-Protocol",
    "content-length",
    "Content-Type",
    "Transfer-Encoding",
  ];

  test.each<[string, unknown]>([
    ...numbers,
    ...whole.map((name): [string, unknown] => [name, 1.5]),
    ["timeout", false],
    ...booleans,
    ["subprotocols", "chat"],
    ["subprotocols", {}],
    ["subprotocols", null],
    ["subprotocols", [1]],
    ["subprotocols", [""]],
    ["subprotocols", ["a b"]],
    ["subprotocols", ["a,b"]],
    ["headers", null],
    ["headers", "x-a: 1"],
    ["headers", () => ({})],
    ["headers", { "x a": "1" }],
    ["headers", { "": "1" }],
    ["headers", { "x-a": 1 }],
    ["headers", { "x-a": null }],
    ["headers", { "x-a": undefined }],
    ["headers", { "x-a": "1\r\nx-b: 2" }],
    ["headers", { "x-a": ["1", "2\n"] }],
    ["headers", { "x-a": ["1", 2] }],
    ["headers", { "x-a": "€" }],
    // These are no plain objects: what is in them would not be seen.
    ["headers", []],
    ["headers", [["x-a", "1"]]],
    ["headers", new Headers({ "x-a": "1" })],
    ["headers", new Map([["x-a", "1"]])],
    ...reserved.map((name): [string, unknown] => ["headers", { [name]: "x" }]),
    ["origins", "https://example.com"],
    ["origins", /x/],
    ["origins", true],
    ["origins", null],
    ["origins", {}],
    ["origins", [1]],
    ["origins", [null]],
  ])("%s: %o", (name, value) => {
    expect(() => resolve({ [name]: value })).toThrow(TypeError);
    // It names the option, and says what it should be.
    expect(() => resolve({ [name]: value })).toThrow(new RegExp(`^option "${name}" must be .`));
  });

  test.each(["time", "Timeout", "constructor", "__proto__", "toString", ""])("unknown: %j", (name) => {
    const options = Object.defineProperty({}, name, { value: 1, enumerable: true });
    expect(() => resolve(options)).toThrow(TypeError);
    expect(() => resolve(options)).toThrow(`unknown option "${name}"; valid options are timeout, heartbeat,`);
  });

  test("unknown, although it is undefined", () => {
    expect(() => resolve({ tiemout: undefined })).toThrow('unknown option "tiemout"');
  });

  test.each([null, 1, "timeout", true, () => ({})])("%j for all the options", (options) => {
    expect(() => resolve(options)).toThrow("options must be an object");
  });
});
