/** srvx on Node: answers the errors that a route throws. */
import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";

type NodeResponse = ServerResponse | Http2ServerResponse;
type End = (...args: readonly unknown[]) => unknown;

/**
 * srvx answers whatever a route throws with an empty 500. Replaces that response: `respond` writes another one instead.
 *
 * @param conn what was passed to `upgrade`; nothing happens unless it is a request of srvx
 */
export const replaceErrorResponse = (conn: object, respond: (response: NodeResponse) => void): void => {
  const response = (conn as { runtime?: { node?: { res?: NodeResponse } } }).runtime?.node?.res;
  if (response === undefined) return;
  const end = response.end as End;
  response.end = ((...args: readonly unknown[]): unknown => {
    response.end = end as typeof response.end;
    if (args.length > 0 || response.headersSent || response.statusCode !== 500) return end.apply(response, [...args]);
    respond(response);
    return response;
  }) as typeof response.end;
};
