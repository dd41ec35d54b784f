/** The control: a socket of Node that returns the bytes it receives. */
import net from "node:net";
import { serve } from "../lib/serve.mjs";

serve(
  net.createServer({ noDelay: true }, (socket) => {
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("error", () => socket.destroy());
  }),
);
