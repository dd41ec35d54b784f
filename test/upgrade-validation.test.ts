import { describe, expect, test } from "vitest";
import { UpgradeError } from "../src/errors.ts";
import { resolveOptions, type UpgradeRequest, type WebSockOptions } from "../src/options.ts";
import { hasBody, selectSubprotocol, validateUpgrade, wantsWebSocket } from "../src/upgrade-validation.ts";

interface Changes {
  readonly method?: string;
  readonly httpVersion?: string;
  readonly authority?: string | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

/** A sound request, but for `changes`. */
const request = (changes: Changes = {}): UpgradeRequest => {
  const headers: Readonly<Record<string, string | undefined>> = {
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...changes.headers,
  };
  return {
    method: changes.method ?? "GET",
    httpVersion: changes.httpVersion ?? "1.1",
    url: "/socket",
    authority: "authority" in changes ? changes.authority : "example.com",
    header: (name) => headers[name],
  };
};

const validate = (changes: Changes = {}, options: WebSockOptions = {}) =>
  validateUpgrade(request(changes), resolveOptions(options));

describe("a sound request", () => {
  test.each<[string, Changes]>([
    ["as browsers send it", {}],
    ["in other letter case", { headers: { upgrade: "WebSocket", connection: "keep-alive, UPGRADE" } }],
    ["with other protocols", { headers: { upgrade: "h2c, websocket" } }],
    ["with an empty body announced", { headers: { "content-length": "0" } }],
    [
      "with subprotocols and extensions",
      { headers: { "sec-websocket-protocol": "a, b", "sec-websocket-extensions": "x" } },
    ],
  ])("%s is accepted", (_name, changes) => {
    expect(validate(changes)).toBeUndefined();
  });
});

describe("an unsound request", () => {
  const key = (value: string | undefined): Changes => ({ headers: { "sec-websocket-key": value } });
  const upgradeHeaders = { upgrade: "websocket", connection: "Upgrade" };
  const version = { "sec-websocket-version": "13" };

  test.each<[string, Changes, status: number, headers: Record<string, string>, message: RegExp]>([
    ["POST", { method: "POST" }, 405, { allow: "GET" }, /GET, not POST/],
    ["HEAD", { method: "HEAD" }, 405, { allow: "GET" }, /GET/],
    ["lower-case get", { method: "get" }, 405, { allow: "GET" }, /GET/],
    ["a POST without an upgrade", { method: "POST", headers: { upgrade: undefined } }, 405, { allow: "GET" }, /GET/],
    ["a body", { headers: { "content-length": "5" } }, 400, {}, /body/],
    ["two lengths", { headers: { "content-length": "0, 5" } }, 400, {}, /body/],
    ["a chunked body", { headers: { "transfer-encoding": "chunked" } }, 400, {}, /body/],
    ["an ordinary GET", { headers: { upgrade: undefined, connection: "keep-alive" } }, 426, upgradeHeaders, /upgrade/],
    ["no Upgrade", { headers: { upgrade: undefined } }, 426, upgradeHeaders, /upgrade/],
    ["no Connection: Upgrade", { headers: { connection: "keep-alive" } }, 426, upgradeHeaders, /upgrade/],
    ["another protocol", { headers: { upgrade: "h2c" } }, 426, upgradeHeaders, /upgrade/],
    ["HTTP/1.0", { httpVersion: "1.0" }, 400, {}, /HTTP\/1\.1, not HTTP\/1\.0/],
    ["no Host", { authority: undefined }, 400, {}, /Host/],
    ["an empty Host", { authority: "" }, 400, {}, /Host/],
    ["no version", { headers: { "sec-websocket-version": undefined } }, 400, version, /Version/],
    ["version 8", { headers: { "sec-websocket-version": "8" } }, 426, { ...version, ...upgradeHeaders }, /must be 13/],
    ["version 013", { headers: { "sec-websocket-version": "013" } }, 426, { ...version, ...upgradeHeaders }, /13/],
    ["two versions", { headers: { "sec-websocket-version": "13, 13" } }, 426, { ...version, ...upgradeHeaders }, /13/],
    ["no key", key(undefined), 400, {}, /Key/],
    ["an empty key", key(""), 400, {}, /Key/],
    ["a short key", key("c2hvcnQ="), 400, {}, /Key/],
    ["two keys", key("dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), 400, {}, /Key/],
    ["a subprotocol that is no token", { headers: { "sec-websocket-protocol": "a b" } }, 400, {}, /Protocol/],
    ["a subprotocol twice", { headers: { "sec-websocket-protocol": "a, a" } }, 400, {}, /Protocol/],
  ])("%s is refused", (_name, changes, status, headers, message) => {
    const error = validate(changes);
    expect(error).toBeInstanceOf(UpgradeError);
    expect({ status: error!.status, statusCode: error!.statusCode, headers: error!.headers }).toEqual({
      status,
      statusCode: status,
      headers,
    });
    expect(error!.message).toMatch(message);
  });
});

describe("wantsWebSocket and hasBody", () => {
  test.each<[Changes["headers"], boolean]>([
    [{}, true],
    [{ upgrade: "h2c" }, false],
    [{ connection: "close" }, false],
    [{ upgrade: undefined }, false],
    [{ connection: undefined }, false],
  ])("wantsWebSocket with %o: %s", (headers, expected) => {
    expect(wantsWebSocket(request({ headers: headers! }))).toBe(expected);
  });

  test.each<[Changes["headers"], boolean]>([
    [{}, false],
    [{ "content-length": "0" }, false],
    [{ "content-length": "000" }, false],
    [{ "content-length": "1" }, true],
    [{ "content-length": "nonsense" }, true],
    [{ "transfer-encoding": "chunked" }, true],
    [{ "transfer-encoding": "identity" }, true],
  ])("hasBody with %o: %s", (headers, expected) => {
    expect(hasBody(request({ headers: headers! }))).toBe(expected);
  });
});

describe("origins", () => {
  const judge = (origin: string | undefined, authority: string | undefined, origins?: WebSockOptions["origins"]) =>
    validate({ authority, headers: { origin } }, origins === undefined ? {} : { origins });

  test.each<[origin: string | undefined, authority: string]>([
    [undefined, "example.com"], // not a browser
    ["https://example.com", "example.com"],
    ["http://example.com", "example.com"],
    ["https://example.com", "example.com:443"],
    ["http://example.com", "example.com:80"],
    ["https://example.com:443", "example.com"],
    ["https://example.com:8443", "example.com:8443"],
    ["http://localhost:3000", "localhost:3000"],
    ["https://EXAMPLE.com", "example.COM"],
    ["http://127.0.0.1:8080", "127.0.0.1:8080"],
    ["http://[::1]:8080", "[::1]:8080"],
    ["http://[::1]", "[::1]"],
    ["http://[0:0:0:0:0:0:0:1]", "[::1]:80"],
    ["https://bücher.example", "xn--bcher-kva.example"],
  ])("by default, %j may connect to %j", (origin, authority) => {
    expect(judge(origin, authority)).toBeUndefined();
  });

  test.each<[origin: string, authority: string]>([
    ["https://evil.example", "example.com"],
    ["https://sub.example.com", "example.com"],
    ["https://example.com", "sub.example.com"],
    ["https://example.com.evil.example", "example.com"],
    ["https://notexample.com", "example.com"],
    ["https://example.com:8443", "example.com"],
    ["https://example.com", "example.com:8443"],
    ["https://example.com", "example.com:80"],
    ["http://example.com", "example.com:443"],
    ["http://localhost:3000", "localhost:4000"],
    ["http://localhost", "127.0.0.1"],
    ["http://[::1]", "[::2]"],
    ["http://[::1]:80", "[::1]:81"],
    ["null", "null"],
    ["null", "example.com"],
    ["", "example.com"],
    ["file://", "example.com"],
    ["file://", "localhost"],
    ["example.com", "example.com"],
    ["https://", "example.com"],
    ["nonsense", "nonsense"],
    ["https://example.com@evil.example", "example.com"],
    ["https://evil.example", "example.com@evil.example"],
    ["https://evil.example", "example.com/@evil.example"],
    ["https://evil.example", "evil.example/"],
    ["https://evil.example", "evil.example?"],
    ["https://evil.example", "evil.example#"],
    ["https://evil.example", "evil.example\\"],
    ["https://example.com, https://evil.example", "example.com"],
    ["https://example.com,https://evil.example", "evil.example"],
    ["https://example.com https://evil.example", "example.com"],
    ["https://example.com", "not a host"],
    ["https://example.com", "example.com:99999"],
  ])("by default, %j may not connect to %j", (origin, authority) => {
    const error = judge(origin, authority);
    expect(error?.status).toBe(403);
    // It names both, and the cure.
    expect(error!.message).toContain(origin);
    expect(error!.message).toContain(authority);
    expect(error!.message).toMatch(/proxy.*Host.*"origins"/);
  });

  test('"*" lets every page connect', () => {
    for (const origin of ["https://evil.example", "null", "nonsense", undefined]) {
      expect(judge(origin, "example.com", "*")).toBeUndefined();
    }
  });

  describe("a list", () => {
    const origins = [
      "https://a.example",
      "http://b.example:8080",
      /^https:\/\/[a-z]+\.c\.example$/,
      /(^|\.)d\.example$/i,
    ];

    test.each<[string | undefined, boolean]>([
      [undefined, true],
      ["https://a.example", true],
      ["https://A.example", true],
      ["http://a.example", false],
      ["https://a.example:8443", false],
      ["https://a.example.evil.example", false],
      ["https://evil.example/https://a.example", false],
      ["http://b.example:8080", true],
      ["http://b.example", false],
      ["https://x.c.example", true],
      ["https://x.y.c.example", false],
      ["https://www.D.example", true],
      ["null", false],
      // Being the request's own host does not help where there is a list.
      ["https://example.com", false],
    ])("%j: %s", (origin, allowed) => {
      expect(judge(origin, "example.com", origins)?.status).toBe(allowed ? undefined : 403);
    });

    test("that is empty lets no page connect", () => {
      expect(judge("https://example.com", "example.com", [])?.message).toContain('"origins"');
      expect(judge(undefined, "example.com", [])).toBeUndefined();
    });

    test('may have "null"', () => {
      expect(judge("null", "example.com", ["null"])).toBeUndefined();
    });

    test.each(["g", "y", "gy"])("a RegExp with the flag %s answers the same every time", (flags) => {
      const pattern = new RegExp("^https://a\\.example$", flags);
      for (let i = 0; i < 4; i++) {
        expect(judge("https://a.example", "example.com", [pattern])).toBeUndefined();
      }
      expect(judge("https://b.example", "example.com", [pattern])?.status).toBe(403);
    });
  });

  describe("a function", () => {
    test("gets the origin and the request, and decides", () => {
      const asked: unknown[] = [];
      const decide =
        (answer: boolean) =>
        (origin: string, { url, authority }: UpgradeRequest) => {
          asked.push([origin, url, authority]);
          return answer;
        };
      expect(judge("https://a.example", "example.com", decide(true))).toBeUndefined();
      expect(judge("https://example.com", "example.com", decide(false))?.status).toBe(403);
      expect(asked).toEqual([
        ["https://a.example", "/socket", "example.com"],
        ["https://example.com", "/socket", "example.com"],
      ]);
    });

    test("is not asked where there is no Origin", () => {
      expect(judge(undefined, "example.com", () => false)).toBeUndefined();
    });

    test.each([undefined, 0, "", "no", 1, {}])("that returns %o does not let anybody in", (answer) => {
      expect(judge("https://a.example", "example.com", (() => answer) as never)?.status).toBe(403);
    });

    test.each([
      ["resolves to true", async () => true],
      ["rejects", async () => Promise.reject(new Error("unhandled"))],
    ])("that returns a promise which %s lets nobody in, and throws with the cure", (_name, origins) => {
      expect(() => judge("https://a.example", "example.com", origins as never)).toThrow(
        /"origins" returned a promise.*before calling upgrade\(\)/,
      );
    });

    test("that throws lets nobody in", () => {
      const origins = (): never => {
        throw new Error("the list is gone");
      };
      expect(() => judge("https://a.example", "example.com", origins)).toThrow("the list is gone");
    });
  });
});

describe("selectSubprotocol", () => {
  const offer = (header: string | undefined) => request({ headers: { "sec-websocket-protocol": header } });

  test.each<[offered: string | undefined, ours: string[], expected: string | undefined]>([
    [undefined, [], undefined],
    [undefined, ["a"], undefined],
    ["a", [], undefined],
    ["a", ["a"], "a"],
    ["a, b", ["b", "a"], "a"], // the client's order
    ["x, b, a", ["a", "b"], "b"],
    ["x, y", ["a", "b"], undefined],
    ["A", ["a"], undefined],
    ["a b", ["a"], undefined],
  ])("of %j, having %j: %j", (offered, ours, expected) => {
    expect(selectSubprotocol(offer(offered), ours)).toBe(expected);
  });

  test("by a function that gets what was offered, in the client's order, and the request", () => {
    const one = offer("b, a");
    expect(
      selectSubprotocol(one, (offered, request) => {
        expect(offered).toEqual(["b", "a"]);
        expect(request).toBe(one);
        return offered[1];
      }),
    ).toBe("a");
  });

  test.each([undefined, null])("by a function that returns %s: none", (nothing) => {
    expect(selectSubprotocol(offer("a"), () => nothing)).toBeUndefined();
  });

  test.each(["b", "A", "", "a, b"])("by a function that picks %j, which was not offered: throws", (picked) => {
    expect(() => selectSubprotocol(offer("a"), () => picked)).toThrow(RangeError);
    expect(() => selectSubprotocol(offer(undefined), () => picked)).toThrow(/did not offer/);
  });
});

test("selectSubprotocol by an asynchronous function throws with the cure", () => {
  const asynchronous = (async () => "a") as never;
  expect(() => selectSubprotocol(request({ headers: { "sec-websocket-protocol": "a" } }), asynchronous)).toThrow(
    /"subprotocols" returned a promise/,
  );
});

describe("over HTTP/2 (RFC 8441 §5)", () => {
  const connect = (changes: Changes = {}) =>
    validate({
      method: "CONNECT",
      httpVersion: "2.0",
      ...changes,
      headers: {
        ":protocol": "websocket",
        upgrade: undefined,
        connection: undefined,
        "sec-websocket-key": undefined,
        ...changes.headers,
      },
    });

  test.each<[string, Changes]>([
    ["without a key", {}],
    ["with one, whatever it is", { headers: { "sec-websocket-key": "short" } }],
    ["of the same origin", { headers: { origin: "https://example.com" } }],
  ])("a sound request %s is accepted", (_name, changes) => {
    expect(connect(changes)).toBeUndefined();
  });

  test.each<[string, Changes, number, Record<string, string>]>([
    ["an ordinary GET", { method: "GET", headers: { ":protocol": undefined } }, 426, { "sec-websocket-version": "13" }],
    ["a POST", { method: "POST", headers: { ":protocol": undefined } }, 405, { allow: "CONNECT" }],
    ["CONNECT without :protocol", { headers: { ":protocol": undefined } }, 405, { allow: "GET" }],
    ["another protocol", { headers: { ":protocol": "connect-udp" } }, 501, {}],
    ["Upgrade", { headers: { upgrade: "websocket" } }, 400, {}],
    ["Connection", { headers: { connection: "Upgrade" } }, 400, {}],
    ["a body", { headers: { "content-length": "1" } }, 400, {}],
    ["no :authority", { authority: undefined }, 400, {}],
    ["no version", { headers: { "sec-websocket-version": undefined } }, 400, { "sec-websocket-version": "13" }],
    ["another version", { headers: { "sec-websocket-version": "8" } }, 426, { "sec-websocket-version": "13" }],
    ["a subprotocol twice", { headers: { "sec-websocket-protocol": "a, a" } }, 400, {}],
    ["another origin", { headers: { origin: "https://elsewhere.example" } }, 403, {}],
  ])("%s is refused, with no header that HTTP/2 forbids", (_name, changes, status, headers) => {
    expect(connect(changes)).toMatchObject({ status, statusCode: status, headers });
    for (const name of ["upgrade", "connection"]) expect(connect(changes)!.headers).not.toHaveProperty(name);
  });
});
