/** WebSock for TypeScript: a request handler, but for WebSockets. */

export type { Capabilities } from "./capabilities.ts";
export type {
  CallbackEvent,
  CloseEvent,
  ConnectionEvent,
  DrainEvent,
  OpenEvent,
  RefusedEvent,
  UpgradeEvent,
} from "./diagnostics.ts";
export type { ErrorCode } from "./error-codes.ts";
export {
  AbortError,
  ConnectionLost,
  MailboxOverflow,
  ProtocolError,
  SlowConsumer,
  UnknownAdapterError,
  UpgradeError,
} from "./errors.ts";
export {
  binary,
  type ControlMessage,
  type DataMessage,
  type IoData,
  json,
  type Messages,
  type Opcode,
  type OutMessage,
  ping,
  pong,
  text,
} from "./message.ts";
export type { AnswerHeaders, CompressOptions, UpgradeRequest, WebSockOptions } from "./options.ts";
export {
  type CloseDetail,
  type HandleResult,
  ok,
  push,
  reply,
  type StopDetail,
  type StopOptions,
  stop,
} from "./result.ts";
export type { CallbackCounts, ConnectionCounts, Tally, Traffic, Waiting } from "./session/observed/counts.ts";
export type { ErrorContext, OnError } from "./session/report.ts";
export { type UpgradeResult, upgrade } from "./upgrade.ts";
export type { UpgradeArguments } from "./upgrade-arguments.ts";
export {
  type AnySelf,
  type Awaitable,
  type CloseReason,
  type ConnectionInfo,
  handler,
  type Self,
  type WebSock,
} from "./websock.ts";
