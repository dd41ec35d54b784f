/**
 * Checks what load.c cannot, before a server is measured, with the client of `ws`: that compressed messages come back
 * compressed and unchanged, and that every member of a chat receives every message once and in order.
 */
import { once } from "node:events";
import { WebSocket } from "ws";

/** A text that identifies its sender. */
const textOf = (/** @type {number} */ sender, /** @type {number} */ number) =>
  `${sender}:${number}`.padEnd(800, JSON.stringify({ name: "user", tags: ["alpha", "beta"] }));

/**
 * @typedef {object} Check
 * @property {number} members
 * @property {number} senders
 * @property {number} each messages of each sender
 * @property {boolean} compressed
 * @property {boolean} everyone all members receive a message, not only its sender
 * @property {boolean} [channel] they are events of Phoenix channels
 * @property {boolean} except with `everyone`: its sender does not
 */

/**
 * @param {number} port
 * @param {Check} check
 * @throws Error if messages are missing, or are not as expected
 */
export const verify = async (port, { members: count, senders, each, compressed, everyone, except, channel }) => {
  const url = `ws://127.0.0.1:${port}/`;
  const [before, after] = channel ? ['[null,null,"room:1","said",', "]"] : ["", ""];
  const messageOf = (/** @type {number} */ sender, /** @type {number} */ number) => {
    const text = textOf(sender, number);
    return channel ? before + JSON.stringify(text) + after : text;
  };
  const members = Array.from({ length: count }, () => new WebSocket(url, { perMessageDeflate: compressed && DEFLATE }));
  try {
    await Promise.all(members.map((member) => once(member, "open")));
    /** @type {Promise<void>} */
    const finished = new Promise((resolve, reject) => {
      let missing = senders * each * (everyone ? count - (except ? 1 : 0) : 1);
      const fail = (/** @type {string} */ why) => reject(new Error(`not as expected: ${why}`));
      for (const [i, member] of members.entries()) {
        const seen = new Map();
        member.on("error", reject);
        member.on("close", () => fail("a connection was closed"));
        member.on("message", (data, binary) => {
          const text = String(data);
          const sender = Number.parseInt(text.slice(before.length).replace('"', ""), 10);
          const number = seen.get(sender) ?? 0;
          seen.set(sender, number + 1);
          if (binary || text !== messageOf(sender, number)) fail(`member ${i} received ${text.slice(0, 40)}`);
          if (everyone ? except && sender === i : sender !== i) fail(`member ${i} received a message of ${sender}`);
          if (--missing === 0) resolve();
        });
      }
    });
    // In turns, so that the messages of different senders mix.
    for (let number = 0; number < each; number++)
      for (let sender = 0; sender < senders; sender++) members[sender]?.send(messageOf(sender, number));
    const timeout = AbortSignal.timeout(20_000);
    const late = once(timeout, "abort").then(() => Promise.reject(new Error("not as expected: messages are missing")));
    await Promise.race([finished, late]);
    if (!compressed) return;
    for (const member of members) {
      if (!member.extensions.includes("permessage-deflate")) throw new Error("compression was not negotiated");
      const received = /** @type {any} */ (member)._socket.bytesRead;
      if (received > 400 * (everyone ? senders * each : each)) throw new Error("the answers are not compressed");
    }
  } finally {
    for (const member of members) member.removeAllListeners("close").terminate();
  }
};

/** Each message is compressed on its own. */
const DEFLATE = { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true };
