/**
 * A room whose metrics Prometheus can read, and clients that talk in it. `PORT` says where the room listens,
 * `METRICS_PORT` where Prometheus reads, and `CLIENTS` how many clients there are.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { instrument } from "websock-js/opentelemetry";
import { PubSub } from "websock-js/pubsub";
import { startLoad } from "./load.ts";
import { Room } from "./room.ts";

const pubsub = new PubSub();

// Before the server listens: only connections that are opened later are measured.
const exporter = new PrometheusExporter({ port: Number(process.env.METRICS_PORT ?? 9464) });
instrument({ meterProvider: new MeterProvider({ readers: [exporter] }), pubsub: [pubsub] });

const room = new Room(pubsub.topic("lobby"));
const server = http.createServer((request) =>
  upgrade(request, room, undefined, { compress: { threshold: 64 }, maxBuffered: 1_000_000 }),
);
// The errors that the load causes are only counted, and not printed.
const sockets = attach(server, { onError: () => undefined });

server.listen(Number(process.env.PORT ?? 4000), () => {
  const { port } = server.address() as AddressInfo;
  console.log(`ws://localhost:${port}/`);
  const stopLoad = startLoad(`ws://localhost:${port}/`, Number(process.env.CLIENTS ?? 20));
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => {
      stopLoad();
      server.close();
      void sockets
        .drain()
        .then(() => pubsub.close())
        .then(() => exporter.shutdown());
    });
});
