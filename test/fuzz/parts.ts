/** Properties of the protocol's parts, each compared with the simplest implementation. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { DataMessage } from "../../src/message.ts";
import { applyMask, applyMaskInView, rotateKey } from "../../src/protocol/mask.ts";
import { MessageBuffer } from "../../src/protocol/message-buffer.ts";
import { Utf8Validator, utf8Length } from "../../src/protocol/utf8.ts";
import { Mailbox } from "../../src/session/mailbox.ts";
import { join } from "../support/client-frames.ts";
import { fuzz } from "../support/fuzz.ts";
import { MailboxModel } from "./mailbox-model.ts";
import { byte, host, mask, nearlyText, pattern, size, split, splitBy } from "./streams.ts";

/** After how many bytes a decoder rejects the text; `undefined`: it may still become valid. */
const refusedAfter = (bytes: Uint8Array): number | undefined => {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let at = 0; at < bytes.length; at++) {
    try {
      decoder.decode(bytes.subarray(at, at + 1), { stream: true });
    } catch {
      return at + 1;
    }
  }
  return undefined;
};

const isText = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
};

const FOREIGN = 0xee;
const MEGABYTE = 1024 * 1024;

export const parts = [
  fuzz(
    "parts: invalid UTF-8 is refused in the chunk with the first byte after which it can't become valid",
    { runs: 1_000, share: 0.5 },
    fc.property(nearlyText, split, host, fc.nat(3), (bytes, split, { byteOps }, margin) => {
      const validator = new Utf8Validator(byteOps);
      const refused = refusedAfter(bytes);
      let pushed = 0;
      for (const piece of splitBy(bytes, split)) {
        // Within a larger array, whose other bytes must not matter.
        const memory = join(new Uint8Array(margin).fill(0xff), piece, new Uint8Array(margin).fill(0xff));
        const accepted = validator.push(memory, margin, margin + piece.length);
        pushed += piece.length;
        assert.equal(accepted, refused === undefined || pushed < refused);
        if (!accepted) return;
      }
      assert.equal(validator.complete, isText(bytes));
    }),
  ),

  fuzz(
    "parts: utf8Length is the number of encoded bytes",
    { runs: 300, share: 0.1 },
    fc.property(
      fc.array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd700, max: 0xe0ff })), { size: "max", maxLength: 40 }),
      (units) => {
        const text = String.fromCharCode(...units);
        assert.equal(utf8Length(text), new TextEncoder().encode(text).length);
      },
    ),
  ),

  fuzz(
    "parts: masking is as in RFC 6455 §5.3, in any chunks and at any alignment",
    { runs: 400, share: 0.5 },
    fc.property(
      fc.oneof(
        nearlyText,
        fc.tuple(size, byte).map(([length, seed]) => pattern(length, seed)),
      ),
      mask,
      split,
      fc.nat(8),
      fc.boolean(),
      (payload, key, split, offset, through) => {
        const memory = new Uint8Array(offset + payload.length + 8).fill(FOREIGN);
        const bytes = memory.subarray(offset);
        bytes.set(payload);
        const view = new DataView(memory.buffer, offset);
        let packed = key[0] | (key[1] << 8) | (key[2] << 16) | (key[3] << 24);
        let at = 0;
        for (const piece of splitBy(payload, split)) {
          const end = at + piece.length;
          const ascii = through ? applyMaskInView(view, at, end, packed) : applyMask(bytes, at, end, packed);
          assert.equal(
            ascii,
            bytes.subarray(at, end).every((byte) => byte < 0x80),
          );
          packed = rotateKey(packed, piece.length);
          at = end;
        }
        const byTheBook = payload.map((byte, i) => byte ^ key[i % 4]!);
        const around = (length: number) => new Uint8Array(length).fill(FOREIGN);
        assert.deepEqual(memory, join(around(offset), byTheBook, around(8)));
      },
    ),
  ),

  fuzz(
    "parts: a message buffer contains the appended bytes, within its memory limits",
    { runs: 300, share: 0.5 },
    fc.property(
      host,
      fc.array(
        fc.oneof(
          {
            weight: 8,
            arbitrary: fc.record({
              piece: fc.uint8Array({ maxLength: 60, size: "max" }),
              more: fc.oneof(fc.constant(0), fc.nat(200), fc.nat(4 * MEGABYTE)),
            }),
          },
          { weight: 1, arbitrary: fc.constantFrom("take" as const, "clear" as const) },
        ),
        { maxLength: 40, size: "max" },
      ),
      ({ byteOps }, steps) => {
        const buffer = new MessageBuffer(byteOps);
        const taken: { readonly data: Uint8Array; readonly expected: Uint8Array }[] = [];
        let content: number[] = [];
        let announced = 0;
        for (const step of steps) {
          if (step === "clear" || step === "take") {
            if (step === "clear") buffer.clear();
            else {
              const data = buffer.take();
              assert.ok(data.buffer.byteLength <= 2 * data.length);
              taken.push({ data, expected: Uint8Array.from(content) });
            }
            content = [];
            announced = 0;
            assert.equal(buffer.memory.length, 0);
          } else {
            const { piece, more } = step;
            const source = join(Uint8Array.of(FOREIGN), piece, Uint8Array.of(FOREIGN));
            const expected = content.length + piece.length + more;
            buffer.append(source, 1, 1 + piece.length, expected);
            content.push(...piece);
            announced = Math.max(announced, Math.min(expected, MEGABYTE));
            assert.ok(buffer.memory.length <= Math.max(announced, 2 * content.length));
          }
          assert.equal(buffer.length, content.length);
          assert.deepEqual(buffer.memory.slice(0, buffer.length), Uint8Array.from(content));
        }
        for (const { data, expected } of taken) assert.deepEqual(new Uint8Array(data), expected);
      },
    ),
  ),

  fuzz(
    "parts: a mailbox behaves like a list in which messages stand where their chunk arrived",
    { runs: 100 },
    fc.property(
      fc.array(
        fc.oneof(
          {
            weight: 6,
            arbitrary: fc.constantFrom("mark", "message", "info", "turn", "take", "take info", "drain", "clear"),
          },
          // Enough for the queue to release the memory of handled items.
          { weight: 1, arbitrary: fc.constantFrom("many messages", "many infos") },
        ),
        { maxLength: 60, size: "max" },
      ),
      (steps) => {
        const mailbox = new Mailbox();
        const model = new MailboxModel<unknown>();
        let next = 0;
        const addMessage = (): void => {
          const message: DataMessage = { opcode: "text", data: `message ${next++}` };
          mailbox.addMessage(message, next % 100);
          model.addMessage(message, next % 100);
        };
        const addInfo = (): void => {
          const info = next++ % 5 === 0 ? undefined : `info ${next}`;
          mailbox.addInfo(info);
          model.addInfo(info);
        };
        const take = (): boolean => {
          const message = mailbox.takeMessage();
          assert.equal(message, model.takeMessage());
          return message !== undefined;
        };
        const takeInfo = (): boolean => {
          const { hasInfo } = model;
          if (hasInfo) assert.equal(mailbox.takeInfo(), model.takeInfo());
          return hasInfo;
        };
        const actions: Record<string, () => void> = {
          mark: () => {
            mailbox.markArrival();
            model.mark();
          },
          message: addMessage,
          info: addInfo,
          turn: () => {
            mailbox.releaseInfos();
            model.releaseInfos();
          },
          take,
          "take info": takeInfo,
          drain: () => {
            for (let i = 0; i < 1_500 && (take() || takeInfo()); i++);
          },
          clear: () => {
            mailbox.clear();
            model.clear();
          },
          "many messages": () => {
            for (let i = 0; i < 1_100; i++) addMessage();
          },
          "many infos": () => {
            for (let i = 0; i < 1_100; i++) addInfo();
          },
        };
        for (const step of steps) {
          actions[step]!();
          assert.deepEqual(
            [mailbox.messages, mailbox.infos, mailbox.bytes, mailbox.hasInfo, mailbox.isCaughtUp],
            [model.messages, model.infos, model.bytes, model.hasInfo, model.isNext],
          );
        }
      },
    ),
  ),
];
