import { conformRemotely } from "../support/remote-conformance.ts";

await conformRemotely({ runtime: "deno", program: "test/hosts/deno.mjs" });
