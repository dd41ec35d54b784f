import { conformRemotely } from "../support/remote-conformance.ts";

await conformRemotely({ runtime: "bun", program: "test/hosts/bun.mjs" });
