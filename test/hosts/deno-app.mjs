/** The app of `app.mjs` on `Deno.serve`. Argument: `bare` serves it without `attach`. */
import { attach, sockets } from "websock-js/deno";
import { app, attached, options } from "./app.mjs";

const bare = Deno.args.includes("bare");
const handler = bare ? app : attach(app, options);
Object.assign(attached, { sockets: bare ? sockets : handler.sockets });
Deno.serve(
  {
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(`listening ${port}`),
    // Without `attach`, the application has to answer errors.
    ...(bare && { onError: (error) => error.getResponse?.() ?? new Response(null, { status: 500 }) }),
  },
  handler,
);
Deno.addSignalListener("SIGTERM", () => (bare ? sockets : handler.sockets).drain().then(() => Deno.exit()));
