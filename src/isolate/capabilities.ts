/** What a handler in a worker can do. */
import type { Capabilities } from "../capabilities.ts";

/**
 * The capabilities of a host, for handlers that are isolated on it.
 *
 * ```ts
 * import { capabilities } from "websock-js/node";
 *
 * isolatedCapabilities(capabilities).exactSelf; // false
 * ```
 *
 * @param host the capabilities of the host
 */
export const isolatedCapabilities = (host: Capabilities): Capabilities =>
  Object.freeze<Capabilities>({ ...host, exactSelf: false, asyncContext: false });
