/** `websock-js` on Cloudflare Workers, where `upgrade` needs no `attach`. */
import "../cloudflare.ts";

export * from "../../index.ts";
