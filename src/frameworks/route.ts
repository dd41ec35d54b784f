/** One call of `upgrade`, as the framework around it wants it answered. */
import type { UpgradeError } from "../errors.ts";

export interface Route {
  /** The request that the adapter has marked. */
  readonly request: object;
  /**
   * Whether the framework writes a response after the route, which then becomes the answer. Otherwise the adapter
   * answers. The response's status may have been set before the route ran: Koa starts with 404.
   */
  readonly deferred: boolean;
  /** Whether a deferred response is written after every route. Fastify skips it for a response that has ended. */
  readonly alwaysResponds: boolean;
  /** What the route should return once the upgrade is decided. */
  result(): unknown;
  /** Whether the route threw after `upgrade`, whatever status the framework answers with. */
  failed(): boolean;
  /** The error, changed so that the framework answers with its status, headers and message. */
  refused(error: UpgradeError): UpgradeError;
  /**
   * Tells the framework's integration that the upgrade is decided. `answer` writes the answer where the application has
   * taken the response away from the framework.
   *
   * @returns a warning to report if no response follows, where the framework may never send one
   */
  decided(answer: () => void): string | undefined;
}
