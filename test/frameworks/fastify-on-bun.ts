/** Runs the app of `fastify-routes.ts` in a process of its own. Argument: the version of Fastify. */
import type { AddressInfo } from "node:net";
import { attach } from "websock-js/node";
import { createApp, type VERSIONS } from "./fastify-routes.ts";

const app = createApp(process.argv[2] as (typeof VERSIONS)[number]);
await app.ready();
attach(app.server);
app.server.listen(0, "127.0.0.1", () => console.log(`listening ${(app.server.address() as AddressInfo).port}\n`));
