/** `websock-js/typed`: a handler whose messages are checked by schemas, and have their types. */

export type { Immutable, InputOf, OutputOf, SchemaIssue, SchemaResult, StandardSchema } from "../standard-schema.ts";
export { encoder, type MessageCodec } from "./codec.ts";
export { InvalidMessage } from "./errors.ts";
export { ok, push, pushAll, stop, type TypedResult, type TypedStopDetail, type TypedStopOptions } from "./results.ts";
export type { TypedSelf } from "./self.ts";
export {
  type ClientMessage,
  type MessageSchemas,
  type ServerMessage,
  type TypedCallbacks,
  type TypedHandler,
  type TypedWith,
  typed,
} from "./typed.ts";
