/** The diagnostics channels of a Worker: the platform has them with the compatibility flag `nodejs_compat`. */
import { type Channel, type Diagnostics, diagnosticsOf } from "../shared/diagnostics.ts";

// Not a literal: a bundler would demand the flag from everybody. Elsewhere this module is only looked at.
const builtin = "node:diagnostics_channel";
const { channel }: { readonly channel?: (name: string) => Channel } =
  "WebSocketPair" in globalThis ? await import(builtin).catch(() => ({})) : {};

export const cloudflareDiagnostics: Diagnostics | undefined = channel && diagnosticsOf(channel);
