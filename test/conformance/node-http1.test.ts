import http from "node:http";
import { conformOnNode } from "../support/conformance-on-node.ts";
import { connectWs } from "../support/ws-conformance-client.ts";

conformOnNode(
  (listener) => http.createServer(listener),
  (port, path, offersCompression) => connectWs(`ws://127.0.0.1:${port}${path}`, offersCompression),
);
