/** The app of `telemetry-app.mjs` on `Deno.serve`. */
import { attach } from "websock-js/deno";
import { respond } from "./telemetry-app.mjs";

Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(`listening ${port}`) },
  attach(respond),
);
