/** The upgrade requests that a server has refused: counted and published, each once, however it was refused. */
import type { UpgradeError } from "../../errors.ts";
import type { UpgradeRequest } from "../../options.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { pathOf } from "./request-path.ts";

export class Refusals {
  count = 0;
  private readonly diagnostics: Diagnostics | undefined;
  /** An app may try another `upgrade` after one that was refused. */
  private readonly seen = new WeakSet<object>();

  constructor(diagnostics: Diagnostics | undefined) {
    this.diagnostics = diagnostics;
  }

  /** @param request the host's own object, by which a request is known again */
  add(error: UpgradeError, request: object, { method, url }: UpgradeRequest, handler: string | undefined): void {
    if (this.seen.has(request)) return;
    this.seen.add(request);
    this.count++;
    this.diagnostics?.refused(() => ({ error, status: error.status, method, path: pathOf(url), handler }));
  }
}
