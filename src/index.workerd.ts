/** `websock-js` on Cloudflare Workers, where `upgrade` needs no `attach`. */
import "./adapters/cloudflare.ts";

export * from "./index.ts";
