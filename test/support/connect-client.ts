import type { ConformanceClient } from "../../packages/websock-conformance/src/handlers/index.ts";

/** Connects the client of a case of the conformance suite. */
export type ConnectClient = (port: number, path: string, offersCompression?: boolean) => Promise<ConformanceClient>;
