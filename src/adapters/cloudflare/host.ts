/** What the connections of Workers and of Durable Objects have in common. */
import type { ResolvedOptions, WebSockOptions } from "../../options.ts";
import { Host } from "../shared/host.ts";

export class CloudflareHost extends Host {
  /** No deadline for what the platform watches itself. In a Durable Object, it would also prevent hibernation. */
  override resolve(options: WebSockOptions | undefined, defaults = this.defaults): ResolvedOptions {
    const resolved = super.resolve(options, defaults);
    if (resolved.timeout === Number.POSITIVE_INFINITY) return resolved;
    return { ...resolved, timeout: Number.POSITIVE_INFINITY, heartbeat: Number.POSITIVE_INFINITY };
  }
}
