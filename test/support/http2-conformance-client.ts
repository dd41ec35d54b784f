import { constants } from "node:http2";
import type { ConformanceClient } from "../../src/testing/conformance/index.ts";
import { openHttp2Stream } from "./http2-client.ts";
import { conformanceClient } from "./raw-conformance-client.ts";

/** The conformance suite's client on a stream of HTTP/2, with a session of its own. */
export const connectOverHttp2 = async (url: string, path: string): Promise<ConformanceClient> => {
  const stream = await openHttp2Stream(url, { ":path": path });
  return conformanceClient(stream, () => stream.close(constants.NGHTTP2_CANCEL));
};
