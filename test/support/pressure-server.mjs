// A server whose memory is measured. It runs in a process of its own, with the built package.
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { handler, ok, push, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { liveBytes, MiB, usedBytes } from "./measured.mjs";

let running = 0;
let concurrent = 0;
let peak = 0;

const memory = () => {
  peak = Math.max(peak, usedBytes());
};

const report = (reason) => process.send({ reason: reason?.error?.name ?? reason, concurrent, peak });
const terminate = (reason) => report(reason);

const handlers = {
  echo: { init: () => ok(0), handleIn: (message, n) => push(message, n), terminate },

  /** Takes a random 0–2 ms for each message. */
  slow: {
    init: () => ok(0),
    handleIn: async (message, n) => {
      concurrent = Math.max(concurrent, ++running);
      await sleep(Math.random() * 2);
      running--;
      if (n % 100 === 0) memory();
      return push({ opcode: "text", data: String(message.data).slice(0, 8) }, n + 1);
    },
    terminate,
  },

  /** Pushes about 1 GiB in messages of 1 MiB, one for each call of `handleInfo`. */
  gibibyte: handler()({
    init: (_, self) => {
      self.send("more");
      return ok(0);
    },
    handleIn: (_message, n) => ok(n),
    handleInfo: async (_info, n, self) => {
      memory();
      if (n < 1024) self.send("more");
      return push({ opcode: "binary", data: Buffer.alloc(MiB, n) }, n + 1);
    },
    terminate,
  }),

  /** Pushes 64 MiB in one list. */
  list: {
    init: () => ok(0),
    handleIn: (_message, n) =>
      push(
        Array.from({ length: 64 }, (_, i) => ({ opcode: "binary", data: Buffer.alloc(MiB, i) })),
        n,
      ),
    terminate,
  },
};

const server = http.createServer(async (request) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const options = JSON.parse(searchParams.get("options") ?? "{}");
  process.send({ base: await liveBytes() });
  upgrade(request, handlers[pathname.slice(1)], undefined, options);
});
attach(server);
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.on("disconnect", () => process.exit());
