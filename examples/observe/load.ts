/** Clients that connect, send messages of several kinds, and disconnect. */
import { WebSocket } from "ws";

const MESSAGES = [
  "hello",
  JSON.stringify({ text: "a longer message, which is compressed. ".repeat(4) }),
  new Uint8Array(500),
  "wait",
];

/** Every client sends ten messages per second. Every second, three clients are replaced. Returns a function to stop. */
export const startLoad = (url: string, clients: number): (() => void) => {
  const open = new Set<WebSocket>();
  let sent = 0;

  const connect = (): void => {
    const client = new WebSocket(url, { perMessageDeflate: true });
    client.on("open", () => open.add(client));
    client.on("error", () => undefined);
    client.on("close", () => open.delete(client));
  };

  const send = (): void => {
    for (const client of open) client.send(MESSAGES[sent++ % MESSAGES.length]!);
  };

  /** One client sends an invalid message, one vanishes, one leaves, and others replace them. */
  const replace = (): void => {
    const [failing, vanishing, leaving] = open;
    failing?.send("fail");
    vanishing?.terminate();
    leaving?.ping();
    leaving?.close(1000);
    for (let i = open.size; i < clients; i++) connect();
  };

  /** A request from a page elsewhere, which the server refuses. */
  const refuse = (): void => {
    new WebSocket(url, { origin: "http://elsewhere.example" }).on("error", () => undefined);
  };

  for (let i = 0; i < clients; i++) connect();
  const timers = [setInterval(send, 100), setInterval(replace, 1_000), setInterval(refuse, 5_000)];
  refuse();
  return () => {
    for (const timer of timers) clearInterval(timer);
    for (const client of open) client.close();
  };
};
