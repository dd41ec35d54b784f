import http2 from "node:http2";
import { describe } from "vitest";
import { selfSigned } from "../../scripts/certificate.mjs";
import { conformOnNode } from "../support/conformance-on-node.ts";
import { connectOverHttp2 } from "../support/http2-conformance-client.ts";

type Listener = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void;

const tls = selfSigned();

describe("in clear", () => {
  conformOnNode(
    (listener) => http2.createServer(listener as unknown as Listener),
    (port, path, offersCompression) => connectOverHttp2(`http://127.0.0.1:${port}`, path, offersCompression),
  );
});

describe("over TLS", () => {
  conformOnNode(
    (listener) => http2.createSecureServer(tls, listener as unknown as Listener),
    (port, path, offersCompression) => connectOverHttp2(`https://127.0.0.1:${port}`, path, offersCompression),
  );
});
