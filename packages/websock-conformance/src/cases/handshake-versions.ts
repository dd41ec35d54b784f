/** Shared by the cases about handshakes over HTTP/1.1 and HTTP/2. */
import type { Run } from "../case.ts";
import { Failure } from "../outcome.ts";
import type { HttpAnswer } from "../target.ts";

/** The key of RFC 6455 §1.3. */
export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** Versions that do not exist, or are obsolete. */
export const VERSIONS = ["0", "8", "12", "14", "255", "130", "-13", "a"] as const;

/** RFC 6455 §4.2.2, §4.4: an error such as 426 that lists the supported versions. */
export const mustTellVersions = ({ status, headers }: HttpAnswer, run: Run): void => {
  if (!headers["sec-websocket-version"]?.split(/, */).includes("13")) {
    throw new Failure(`status ${status} without the supported versions in Sec-WebSocket-Version (§4.2.2)`);
  }
  if (status !== 426) run.note("informational", `answers with status ${status}; the RFC's example is 426`);
};
