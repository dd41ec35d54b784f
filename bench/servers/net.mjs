/** The control: what a socket of Node does when nobody looks at the octets. */
import net from "node:net";
import { serve } from "../lib/serve.mjs";

serve(
  net.createServer({ noDelay: true }, (socket) => {
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("error", () => socket.destroy());
  }),
);
