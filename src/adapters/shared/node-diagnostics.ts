/** The diagnostics channels of `node:diagnostics_channel`, on hosts that always have it. */
import { channel } from "node:diagnostics_channel";
import { diagnosticsOf } from "./diagnostics.ts";

export const nodeDiagnostics = diagnosticsOf(channel);
