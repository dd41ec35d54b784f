/** The in-memory host of the conformance suite. */
import {
  actOn,
  type ConformanceHost,
  type Got,
  inOwnContext,
  openGate,
  reportOf,
  whenTerminated,
} from "../../packages/websock-conformance/src/handlers/index.ts";
import { begin, type TestClient } from "../../src/testing/connect.ts";
import { capabilities } from "../../src/testing/memory-transport.ts";

const next = async (client: TestClient<unknown>): Promise<Got> => {
  try {
    const { opcode, data } = await client.receive();
    if (opcode === "ping") return next(client);
    return [opcode, typeof data === "string" ? data : Buffer.from(data).toString("latin1")];
  } catch {
    const frame = await client.closed;
    return frame === undefined ? ["lost"] : ["close", frame.code, frame.text];
  }
};

/** A host whose connections run `handler`, which must do what the scripted handler does. */
export const memoryHost = (handler: object): ConformanceHost => {
  const clients = new Set<TestClient<unknown>>();
  return {
    capabilities,
    connect: async ({ script, options }) => {
      const id = crypto.randomUUID();
      const { client } = inOwnContext(id, () => begin<unknown>(handler, { id, script }, options));
      clients.add(client);
      return {
        client: {
          next: () => next(client),
          send: (opcode, data) => {
            if (opcode === "text") client.send(data);
            else if (opcode === "binary") client.send(Buffer.from(data, "latin1"));
            else client[opcode](data);
          },
          close: (code, text) => client.close(code, text),
          drop: () => client.drop(),
          setReading: (reads) => (reads ? client.resumeReading() : client.stopReading()),
          get pings() {
            return client.received.filter(({ opcode }) => opcode === "ping").length;
          },
        },
        report: async () => reportOf(id),
        terminated: () => whenTerminated(id),
        openGate: () => openGate(id),
        act: (action) => actOn(id, action),
      };
    },
    advance: (ms) => {
      for (const client of clients) client.advance(ms);
    },
    shutdown: (code) => {
      for (const client of clients) client.shutdown(code);
    },
  };
};
