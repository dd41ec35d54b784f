/** Cases: a client that sends messages and immediately closes gets all answers, as it would from the bare host. */
import { type ConformanceCase, type ConformanceHost, equal } from "./host.ts";

/** Sizes in bytes: from a tiny message to one larger than all buffers between handler and client. */
const SIZES = [1, 70_000, 300_000, 4_000_000, 8_000_000, 16_000_000] as const;

const options = { maxMessageSize: 20_000_000 } as const;

const run = async (host: ConformanceHost, size: number, behind: number): Promise<void> => {
  const { client, terminated, report } = await host.connect({ script: { handleIn: [{ echo: true }] }, options });
  client.send("text", "x".repeat(size));
  for (let i = 0; i < behind; i++) client.send("text", `${i}....`);
  client.close(1000);
  const [opcode, data] = await client.next();
  // Compare the length, because a failure would print the whole text.
  equal([opcode, typeof data === "string" ? data.length : data], ["text", size], "the client got");
  for (let i = 0; i < behind; i++) equal(await client.next(), ["text", `${i}....`], "the client got");
  equal((await client.next()).slice(0, 2), ["close", 1000], "the client got");
  await terminated();
  equal((await report()).reason, "remote", "terminate got");
};

export const closingBehindMessages: readonly ConformanceCase[] = SIZES.flatMap((size) =>
  [0, 5].map((behind) => ({
    name: `a client closes right after a message of ${size} bytes and ${behind} short ones: it receives every answer`,
    run: (host: ConformanceHost) => run(host, size, behind),
  })),
);
