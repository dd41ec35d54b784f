/** The host class of Workers and Durable Objects. */
import type { ResolvedOptions, WebSockOptions } from "../../options.ts";
import { Host } from "../shared/host.ts";

export class CloudflareHost extends Host {
  /** Disables idle deadlines, because the platform detects lost connections. Timers would also prevent hibernation. */
  override resolve(options: WebSockOptions | undefined, defaults = this.defaults): ResolvedOptions {
    const resolved = super.resolve(options, defaults);
    if (resolved.timeout === Number.POSITIVE_INFINITY) return resolved;
    return { ...resolved, timeout: Number.POSITIVE_INFINITY, heartbeat: Number.POSITIVE_INFINITY };
  }
}
