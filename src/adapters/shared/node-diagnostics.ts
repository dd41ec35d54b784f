/** The library's diagnostics channels, for hosts that always have `node:diagnostics_channel`. */
import { channel } from "node:diagnostics_channel";
import { diagnosticsOf } from "./diagnostics.ts";

export const nodeDiagnostics = diagnosticsOf(channel);
