/** `websock-js/node` under the `node:http` and `node:http2` of Deno. */
import { describe } from "vitest";
import { connectWithoutGoAway } from "../support/http2-conformance-client.ts";
import { conformRemotely } from "../support/remote-conformance.ts";

const program = "test/hosts/node.mjs";

describe("HTTP/1.1", () => conformRemotely({ runtime: "deno", program }));

// A GOAWAY from its peer may end Deno 2.9, in a segment fault or an assertion of nghttp2's, before any of our code sees
// it: https://github.com/denoland/deno/issues/36788. So this client sends none.
describe("HTTP/2", () => conformRemotely({ runtime: "deno", program, args: ["http2"], connect: connectWithoutGoAway }));
