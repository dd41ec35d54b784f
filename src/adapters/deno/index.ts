/** `websock-js` on Deno, where `upgrade` needs no `attach`. */
import "../deno.ts";

export * from "../../index.ts";
