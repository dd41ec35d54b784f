/** `websock-js/node` under the `node:http` and `node:http2` of Bun. */
import { describe } from "vitest";
import { connectOverHttp2 } from "../support/http2-conformance-client.ts";
import { conformRemotely } from "../support/remote-conformance.ts";

const program = "test/hosts/node.mjs";

describe("HTTP/1.1", () => conformRemotely({ runtime: "bun", program }));

describe("HTTP/2", () =>
  conformRemotely({
    runtime: "bun",
    program,
    args: ["http2"],
    connect: (port, path, offersCompression) => connectOverHttp2(`http://127.0.0.1:${port}`, path, offersCompression),
  }));
