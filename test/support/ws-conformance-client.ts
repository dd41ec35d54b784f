import { WebSocket } from "ws";
import type { ConformanceClient, Got } from "../../packages/websock-conformance/src/handlers/index.ts";

/** The conformance suite's client, implemented with `ws`. */
export const connectWs = async (
  url: string,
  perMessageDeflate: WebSocket.ClientOptions["perMessageDeflate"] = false,
): Promise<ConformanceClient> => {
  const socket = new WebSocket(url, { perMessageDeflate });
  const got: Got[] = [];
  let wakeUp: () => void = () => undefined;
  const add = (item: Got): void => {
    got.push(item);
    wakeUp();
  };
  const latin1 = (data: unknown): string => (data as Buffer).toString("latin1");
  socket.on("message", (data, isBinary) => add(isBinary ? ["binary", latin1(data)] : ["text", String(data)]));
  socket.on("pong", (data) => add(["pong", latin1(data)]));
  let pings = 0;
  socket.on("ping", () => void pings++);
  socket.on("error", () => undefined); // "close" follows
  socket.on("close", (code, text) =>
    add(code === 1006 ? ["lost"] : ["close", code === 1005 ? undefined : code, String(text)]),
  );
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return {
    next: async () => {
      while (got.length === 0) {
        await new Promise<void>((resolve) => {
          wakeUp = resolve;
        });
      }
      return got.shift()!;
    },
    send: (opcode, data) => {
      if (opcode === "text") socket.send(data);
      else if (opcode === "binary") socket.send(Buffer.from(data, "latin1"));
      else socket[opcode](data);
    },
    close: (code, text) => socket.close(code, text),
    drop: () => socket.terminate(),
    setReading: (reads) => (reads ? socket.resume() : socket.pause()),
    get pings() {
      return pings;
    },
  };
};
