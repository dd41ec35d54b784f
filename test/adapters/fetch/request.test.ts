/** Tests of the request target taken from a `Request`. */
import { describe, expect, test } from "vitest";
import { upgradeRequestOf } from "../../../src/adapters/fetch/request.ts";

describe("the target of a request", () => {
  test.each([
    ["http://localhost:4000/chat?room=1#x", "/chat?room=1"],
    ["https://[::1]/", "/"],
    ["http://localhost", "/"],
    ["http://localhost?a=b", "/?a=b"],
    ["http:///chat", "/chat"],
    // Bun and Deno insert the client's Host header without validation.
    ["http://a b/chat", "/chat"],
    ["http://[/chat?x", "/chat?x"],
    ["http://x:99999/", "/"],
    ["http://a@b/chat//http://c", "/chat//http://c"],
    ["/chat", "/chat"],
  ])("%s", (url, target) => {
    expect(upgradeRequestOf({ method: "GET", url, headers: new Headers() }).url).toBe(target);
  });
});
