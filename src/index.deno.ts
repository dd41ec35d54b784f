/** `websock-js` on Deno, where `upgrade` needs no `attach`. */
import "./adapters/deno.ts";

export * from "./index.ts";
