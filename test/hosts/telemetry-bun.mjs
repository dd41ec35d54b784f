/** The app of `telemetry-app.mjs` on `Bun.serve`. */
import { attach } from "websock-js/bun";
import { respond } from "./telemetry-app.mjs";

console.log(`listening ${Bun.serve(attach({ hostname: "127.0.0.1", port: 0, fetch: respond })).port}`);
