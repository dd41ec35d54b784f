/** The control: a socket of Node that returns the bytes it receives, with `--host=tls` over TLS. */
import net from "node:net";
import tls from "node:tls";
import { selfSigned } from "../../scripts/certificate.mjs";
import { argument, serve } from "../lib/serve.mjs";

/** @param {net.Socket} socket */
const onConnection = (socket) => {
  socket.on("data", (chunk) => socket.write(chunk));
  socket.on("error", () => socket.destroy());
};

serve(
  argument("host") === "tls"
    ? tls.createServer({ ...selfSigned(), noDelay: true }, onConnection)
    : net.createServer({ noDelay: true }, onConnection),
);
