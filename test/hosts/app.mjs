/** The app for `test/support/fetch-host.ts`: routes of a plain fetch handler, and of Hono with middleware. */
import { subscribe } from "node:diagnostics_channel";
import { Hono } from "hono";
import { setCookie } from "hono/cookie";
import { cors } from "hono/cors";
import { secureHeaders } from "hono/secure-headers";
import { ok, push, stop, text, upgrade } from "websock-js";

/** The events that have happened, in order. */
export const events = [];

subscribe("websock-js:refused", (/** @type {any} */ { status, method, path, handler }) =>
  events.push(`refused ${status} ${method} ${path} ${handler}`),
);

/** The host's attachment, set by the program. */
export const attached = { sockets: { refused: 0 } };

const nextTick = () => new Promise((resolve) => setTimeout(resolve));

const nameOf = (reason) => (typeof reason === "string" ? reason : `error ${reason.error?.name}`);

const recorded = (callbacks) => ({
  init: () => ok(0),
  handleIn: (message, count) => push(message, count + 1),
  terminate: (reason) => void events.push(`terminate ${nameOf(reason)}`),
  ...callbacks,
});

export const Echo = recorded({ name: "echo" });

const Offers = recorded({ name: "offers" });

let running = 0;
const Slow = recorded({
  handleIn: async (message, count) => {
    if (++running > 1) events.push("overlapping callbacks");
    await nextTick();
    running--;
    return push(message, count + 1);
  },
});

const Rejecting = recorded({
  handleIn: async () => {
    await nextTick();
    throw new Error("secret");
  },
});

/** Sends `self.connection`. */
export const Facts = recorded({
  init: (arg, { connection }) => push(text(JSON.stringify({ arg, ...connection })), 0),
});

const Closing = recorded({ handleIn: ({ data }) => stop("normal", 0, { code: Number(data) }) });

/** Pushes the requested number of KiB, then stops. */
const Pushing = recorded({
  handleIn: ({ data }) => stop("normal", 0, { messages: Array(Number(data)).fill(text("x".repeat(1024))) }),
});

const rooms = new Hono()
  .use(secureHeaders(), cors({ origin: "*" }))
  .use(async (c, next) => {
    setCookie(c, "seen", "1");
    await next();
    c.header("x-after", "1");
  })
  .get("/room/:name", async (c) => {
    await nextTick();
    if (c.req.query("user") === undefined) return c.json({ error: "who are you?" }, 401);
    return upgrade(c, Facts, c.req.param("name"), { headers: { "set-cookie": "own=1", "x-own": "1" } });
  })
  .get("/fails", (c) => {
    upgrade(c, Echo);
    throw new Error("after all");
  })
  .onError((error, c) => error.getResponse?.() ?? c.text("failed", 500));

const secured = new Hono().use(secureHeaders()).get("/", (c) => upgrade(c, Facts));

const hono = new Hono().route("/hono", rooms).route("/secured", secured);

const routes = {
  "/echo": (request) => upgrade(request, Echo),
  "/facts": (request) =>
    upgrade(request, Facts, "an argument", { subprotocols: ["chat", "b"], headers: { "x-own": "1" } }),
  "/slow": (request) => upgrade(request, Slow),
  "/rejecting": (request) => upgrade(request, Rejecting),
  "/closing": (request) => upgrade(request, Closing),
  "/pushing": (request) => upgrade(request, Pushing),
  "/small": (request) => upgrade(request, Echo, undefined, { maxMessageSize: 10 }),
  "/late": (request) => upgrade(request, Echo, undefined, { earlyValidateUpgrade: false }),
  "/throwing": (request) => {
    const fail = () => {
      throw new Error("of the application");
    };
    const late = new URL(request.url).searchParams.has("late");
    return upgrade(request, Echo, undefined, { origins: fail, subprotocols: fail, earlyValidateUpgrade: !late });
  },
  "/compressed": (request) => upgrade(request, Echo, undefined, { compress: { threshold: 100 } }),
  "/compressed-facts": (request) => upgrade(request, Facts, "", { compress: { threshold: 10_000 } }),
  "/options": (request) => upgrade(request, Echo, undefined, { maxFragments: 7, validateUtf8: false }),
  "/ping": (request) => upgrade(request, recorded({ handleIn: () => push({ opcode: "ping", data: "p" }, 0) })),
  "/refused": () => Response.json({ error: "who are you?" }, { status: 401 }),
  "/changed": (request) => {
    upgrade(request, Echo);
    return new Response("no after all", { status: 409 });
  },
  "/twice": (request) => {
    const response = upgrade(request, Echo);
    try {
      upgrade(request, Echo);
    } catch (error) {
      events.push(error.message);
    }
    return response;
  },
  "/offers": (request) => upgrade(request, Offers),
  "/count": () => Response.json(attached.sockets.refused),
  "/events": () => Response.json(events.splice(0)),
};

/** A fetch handler. */
export const app = async (/** @type {Request} */ request, /** @type {unknown[]} */ ...more) => {
  const { pathname } = new URL(request.url);
  return routes[pathname]?.(request) ?? hono.fetch(request, ...more);
};

/** The options of `attach`. */
export const options = { onError: (error) => events.push(`reported ${error.message}`) };
