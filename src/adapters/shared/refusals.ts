/** Counts and publishes the upgrade requests that a server has refused. */
import type { UpgradeError } from "../../errors.ts";
import type { UpgradeRequest } from "../../options.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { pathOf } from "./request-path.ts";

export class Refusals {
  count = 0;
  private readonly diagnostics: Diagnostics | undefined;
  /** Each request counts once, even if the app calls `upgrade` again after a refusal. */
  private readonly seen = new WeakSet<object>();

  constructor(diagnostics: Diagnostics | undefined) {
    this.diagnostics = diagnostics;
  }

  /** @param request the host's request object, which identifies the request */
  add(error: UpgradeError, request: object, { method, url }: UpgradeRequest, handler: string | undefined): void {
    if (this.seen.has(request)) return;
    this.seen.add(request);
    this.count++;
    this.diagnostics?.refused(() => ({
      error,
      status: error.status,
      cause: error.message,
      method,
      path: pathOf(url),
      handler,
    }));
  }
}
