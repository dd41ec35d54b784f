/** From typed messages to those of the connection, and back. */
import { codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";
import { binary, type DataMessage, json, type OutMessage, text } from "../message.ts";
import { isPromiseLike } from "../promise-like.ts";
import {
  describeIssues,
  type Immutable,
  type InputOf,
  isSchema,
  type SchemaResult,
  type StandardSchema,
  validateSync,
} from "../standard-schema.ts";
import { asyncOut, isAsyncSchema } from "./async-schema.ts";
import { InvalidMessage } from "./errors.ts";

/**
 * How messages are represented: the opcode of the frame, and the functions between a value and the data. What `decode`
 * throws makes the message of a client invalid, and so does another opcode.
 *
 * ```ts
 * import { decode, encode } from "@msgpack/msgpack";
 *
 * const messagePack: MessageCodec = { opcode: "binary", encode, decode };
 * ```
 */
export type MessageCodec =
  | {
      readonly opcode: "text";
      readonly encode: (value: unknown) => string;
      readonly decode: (data: string) => unknown;
    }
  | {
      readonly opcode: "binary";
      readonly encode: (value: unknown) => Uint8Array;
      readonly decode: (data: Uint8Array<ArrayBuffer>) => unknown;
    };

/**
 * Creates a function that checks a message and encodes it, to publish it to a topic: this happens once for all members.
 *
 * ```ts
 * const Said = z.object({ type: z.literal("said"), text: z.string() });
 * const encode = encoder(Said);
 *
 * lobby.publish(encode({ type: "said", text: "hello" }));
 * ```
 *
 * The function throws an {@link InvalidMessage} for a message that does not fit, the error of the codec for one that it
 * cannot encode, and a TypeError if the schema turns out to be asynchronous.
 *
 * @param out a Standard Schema that validates synchronously. What it returns is encoded
 * @param codec how messages are represented. Default: JSON in text messages
 * @throws TypeError if the schema is known to be asynchronous, or if an argument has the wrong type
 */
export const encoder = <Out extends StandardSchema>(
  out: Out,
  codec?: MessageCodec,
): ((message: Immutable<InputOf<Out>>) => OutMessage) => {
  checkSchema("out", out);
  if (isAsyncSchema(out)) throw asyncOut(out["~standard"].vendor);
  checkCodec(codec);
  const encode = encodeWith(codec);
  return (message) => encode(checkOut(out, message));
};

/** Creates the function that decodes a message of a client. What cannot be decoded has an issue. */
export const decoder = (codec: MessageCodec | undefined): ((message: DataMessage) => SchemaResult<unknown>) => {
  const { opcode } = codec ?? JSON_TEXT;
  const its = (codec ?? JSON_TEXT) as { decode(data: unknown): unknown };
  return (message) => {
    if (message.opcode !== opcode) return { issues: [{ message: `expected a ${opcode} message` }] };
    let value: unknown;
    try {
      value = its.decode(message.data);
    } catch (error) {
      return { issues: [{ message: error instanceof Error ? error.message : String(error) }] };
    }
    if (!isPromiseLike(value)) return { value };
    // What a client sends must not become an unhandled rejection.
    value.then(undefined, () => undefined);
    throw codedTypeError("WEBSOCK_INVALID_OPTION", '"decode" of the codec must not return a promise');
  };
};

/** @throws TypeError unless the value is a Standard Schema */
export const checkSchema = (name: "in" | "out", schema: unknown): void => {
  if (!isSchema(schema))
    throw codedTypeError("WEBSOCK_INVALID_OPTION", `"${name}" must be a Standard Schema, not ${show(schema)}`);
};

const JSON_TEXT = { opcode: "text", decode: (data: string): unknown => JSON.parse(data) } as const;

const encodeWith = (codec: MessageCodec | undefined): ((value: unknown) => OutMessage) => {
  // json() has better error messages than JSON.stringify.
  if (codec === undefined) return json;
  const encodes = (value: unknown): string | Uint8Array => {
    const data: unknown = codec.encode(value);
    if (codec.opcode === "text" ? typeof data === "string" : data instanceof Uint8Array) return data as Uint8Array;
    const expected = codec.opcode === "text" ? "a string" : "a Uint8Array";
    throw codedTypeError(
      "WEBSOCK_NOT_SERIALIZABLE",
      `"encode" of the codec must return ${expected}, not ${show(data)}`,
    );
  };
  return codec.opcode === "text" ? (value) => text(encodes(value)) : (value) => binary(encodes(value));
};

const checkOut = (out: StandardSchema, message: unknown): unknown => {
  const result = validateSync(out, message, asyncOut);
  if (result.issues === undefined) return result.value;
  throw new InvalidMessage(
    `the message does not fit the schema "out": ${describeIssues(result.issues)}`,
    result.issues,
  );
};

const checkCodec = (codec: unknown): void => {
  if (codec === undefined) return;
  const { opcode, encode, decode } = (codec ?? {}) as Partial<Record<keyof MessageCodec, unknown>>;
  const isCodec =
    (opcode === "text" || opcode === "binary") && typeof encode === "function" && typeof decode === "function";
  if (!isCodec)
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
      `"codec" must have opcode ("text" or "binary"), encode and decode, unlike ${show(codec)}`,
    );
};
