/** The types of `loads.mjs`, for its test. */
import type { Buckets } from "../lib/histogram.mjs";

export interface Load {
  readonly inC: boolean;
  readonly result: Promise<{
    readonly messages: number;
    readonly seconds: number;
    readonly cpu: number;
    readonly latencies?: Buckets;
    readonly opening?: number;
    readonly server?: number;
  }>;
  stop(): Promise<void>;
}

export function startLoad(options: {
  readonly mode: "closed" | "open" | "fan-out" | "handshakes" | "idle";
  readonly protocol: "websocket" | "raw";
  readonly port: number;
  readonly messages: { readonly kind: "text" | "binary"; readonly size: number; readonly fragments?: number };
  readonly connections?: number;
  readonly inFlight?: number;
  readonly seconds?: number;
  readonly warmup?: number;
  readonly rate?: number;
  readonly server?: number;
}): Load;
