import net from "node:net";
import type { ConformanceClient } from "../../packages/websock-conformance/src/handlers/index.ts";
import type { ConnectClient } from "./connect-client.ts";
import { connectHttp2, openHttp2Stream, resetStream } from "./http2-client.ts";
import { compressionOffer, conformanceClient } from "./raw-conformance-client.ts";

/** The conformance suite's client on an HTTP/2 stream, with a session of its own. */
export const connectOverHttp2 = async (
  url: string,
  path: string,
  offersCompression?: boolean,
): Promise<ConformanceClient> => {
  const stream = await openHttp2Stream(url, { ":path": path, ...compressionOffer(offersCompression) });
  return conformanceClient(stream, () => resetStream(stream));
};

/**
 * The same, but the TCP connection is closed without a GOAWAY frame: RFC 9113 §6.8 only says that endpoints SHOULD send
 * one.
 */
export const connectWithoutGoAway: ConnectClient = async (port, path, offersCompression) => {
  const socket = net.connect(port, "127.0.0.1");
  const session = await connectHttp2(`http://127.0.0.1:${port}`, { createConnection: () => socket });
  const stream = await openHttp2Stream(session, { ":path": path, ...compressionOffer(offersCompression) });
  stream.once("close", () => setImmediate(() => socket.destroy()));
  return conformanceClient(stream, () => resetStream(stream));
};
