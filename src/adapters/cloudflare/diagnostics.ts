/** The diagnostics channels of a Worker, available with the compatibility flag `nodejs_compat`. */
import type { ChannelOf } from "../shared/channel.ts";
import { type Diagnostics, diagnosticsOf } from "../shared/diagnostics.ts";

// Not a literal: with one, bundlers would require the flag. On other hosts nothing is imported.
const builtin = "node:diagnostics_channel";
const { channel }: { readonly channel?: ChannelOf } =
  "WebSocketPair" in globalThis ? await import(builtin).catch(() => ({})) : {};

export const cloudflareDiagnostics: Diagnostics | undefined = channel && diagnosticsOf(channel);
