/** `websock-js/ws` with the package `ws` over Deno's `node:http`. */
import { conformRemotely } from "../support/remote-conformance.ts";

await conformRemotely({ runtime: "deno", program: "test/hosts/node.mjs", args: ["ws"] });
