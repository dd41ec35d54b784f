/** A Durable Object that hibernates on request, and a log of the calls of its handler. */
import { DurableObject } from "cloudflare:workers";
import unsafe from "workerd:unsafe";
import { ok, push, text, upgrade } from "websock-js";
import { attach } from "websock-js/cloudflare";
import { PubSub } from "websock-js/pubsub";

/** The events in this process, which outlives the object. */
const log = [];

// Available with the flag nodejs_compat.
const { subscribe } = await import("node:diagnostics_channel");
subscribe("websock-js:refused", (/** @type {any} */ { status, method, path, handler }) =>
  log.push(`refused ${status} ${method} ${path} ${handler}`),
);

const Counter = {
  name: "counter",
  /** @param {string} name @param {any} self */
  init: (name, self) => {
    log.push(`init ${name}`);
    return push(text(`init ${self.id}`), { name, count: 0 });
  },
  handleIn: async ({ data }, state, self) => {
    if (data === "big") return ok({ ...state, big: "x".repeat(20_000) });
    if (data === "function") return ok({ ...state, later: () => 1 });
    if (data === "slow") await new Promise((resolve) => setTimeout(resolve, 100));
    const { name, count } = state;
    return push(text(`${data} ${name} ${count + 1} ${self.id} ${self.connection.subprotocol}`), {
      name,
      count: count + 1,
    });
  },
  handleInfo: (info, state, self) => push(text(`info ${info} ${state.name} ${state.count} ${self.id}`), state),
  terminate: (reason, { name, count }, { connection }) => {
    const why = typeof reason === "string" ? reason : `${reason.error.name}: ${reason.error.message}`;
    log.push(`terminate ${name} ${count} ${why} ${connection.closeCode} ${connection.closeText}`);
  },
};

/** @param {PubSub} pubsub */
const memberOf = (pubsub) => ({
  name: "member",
  init: (topics, self) => {
    for (const topic of topics) pubsub.topic(topic).subscribe(self);
    return push(text(pubsub.address(self)), topics.length);
  },
  // Each message is a call of a method of a topic, or of the PubSub.
  handleIn: ({ data }, state, self) => {
    const [method, topic, ...args] = JSON.parse(data);
    const calls = {
      subscribe: () => void pubsub.topic(topic).subscribe(self, ...args),
      subscribeAndCancel: () =>
        pubsub
          .topic(topic)
          .subscribe(self, ...args)
          .cancel(),
      unsubscribe: () => pubsub.topic(topic).unsubscribe(self),
      publishToOthers: () => pubsub.topic(topic).publish(text(args[0]), { except: [self, ...args.slice(1)] }),
      topicsOf: () => pubsub.topicsOf(self),
      address: () => pubsub.address(self),
    };
    try {
      return push(text(String(calls[method]() ?? "done")), state);
    } catch (error) {
      return push(text(error.message), state);
    }
  },
  handleInfo: (info, state) => push(text(`info ${info}`), state),
  terminate: (_reason, _state, self) => {
    const topic = pubsub.topic("ends");
    topic.publish(text(`end: ${topic.size} left, in [${pubsub.topicsOf(self)}]`));
  },
});

export class Room extends DurableObject {
  pubsub = new PubSub();
  member = memberOf(this.pubsub);
  sockets = attach(
    this,
    this.ctx,
    { "": Counter, member: this.member },
    { onError: (error) => log.push(`error ${error.message}`), pubsub: this.pubsub },
  );

  constructor(ctx, env) {
    super(ctx, env);
    log.push("constructed");
  }

  fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/connect")
      return upgrade(request, Counter, searchParams.get("name"), { subprotocols: ["count"] });
    if (pathname === "/member") return upgrade(request, this.member, searchParams.getAll("topic"));
    const topic = this.pubsub.topic(searchParams.get("topic") ?? "none");
    if (pathname === "/publish") return new Response(String(topic.publish(text(searchParams.get("data")))));
    if (pathname === "/broadcast") return new Response(String(topic.broadcast(searchParams.get("data"))));
    if (pathname === "/size") return new Response(`${topic.size} ${[...topic.members()].length}`);
    if (pathname === "/kick") return new Response(String(topic.stop("kicked", { code: 4003 })));
    if (pathname === "/stopAt")
      return new Response(String(this.pubsub.stop(searchParams.get("to"), "kicked", { code: 4004 })));
    if (pathname === "/sendTo") return new Response(String(this.pubsub.send(searchParams.get("to"), "hello")));
    if (pathname === "/unknown") return upgrade(request, { ...Counter });
    if (pathname === "/foreign") {
      const { 0: client, 1: socket } = new WebSocketPair();
      this.ctx.acceptWebSocket(socket);
      return new Response(null, { status: 101, webSocket: client });
    }
    if (pathname === "/announce") for (const self of this.sockets) self.send(searchParams.get("news"));
    if (pathname === "/send") return new Response(String(this.sockets.get(searchParams.get("id"))?.send("alone")));
    if (pathname === "/refused") return new Response(String(this.sockets.refused));
    if (pathname === "/connections") return new Response(String(this.sockets.connections));
    if (pathname === "/drain") void this.sockets.drain();
    return new Response("done");
  }

  webSocketMessage(socket, data) {
    socket.send(`foreign ${data}`);
  }
}

/** Connections of the Worker itself, kept across requests. */
const selves = [];

const Noted = {
  name: "noted",
  init: (_, self) => {
    selves.push(self);
    return ok(0);
  },
  handleIn: (message, count) => push(message, count + 1),
  handleInfo: (info, count) => {
    log.push(`info ${info} ${count}`);
    return ok(count);
  },
  terminate: (reason) => log.push(`terminate ${reason}`),
};

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/worker") return upgrade(request, Noted);
    if (pathname === "/notify") return new Response(String(selves.map((self) => self.send("from elsewhere"))));
    const room = env.ROOMS.get(env.ROOMS.idFromName("room"));
    if (pathname === "/sleep") await unsafe.evict(room, { webSockets: "hibernate" });
    if (pathname === "/sleep") return new Response("asleep");
    if (pathname === "/log") return new Response(JSON.stringify(log.splice(0)));
    return room.fetch(request);
  },
};
