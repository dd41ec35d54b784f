/**
 * Errors and close reasons on their way to another thread. Structured clone loses the class and the properties of an
 * error, and refuses functions: here, the errors of this library arrive as instances of the same class.
 */
import { codedTypeError } from "../error-codes.ts";
import { ConnectionLost, MailboxOverflow, ProtocolError, SlowConsumer } from "../errors.ts";
import { show } from "../known-keys.ts";
import type { CloseReason } from "../websock.ts";
import { CallbackTimeout, HeapExceeded, WorkerExited } from "./errors.ts";

/** A value that can be cloned. */
export type Packed =
  | { readonly value: unknown }
  | {
      readonly name: string;
      readonly message: string;
      readonly stack: string | undefined;
      readonly cause: Packed | undefined;
      readonly properties: Readonly<Record<string, unknown>>;
    };

/** A close reason that can be cloned. */
export type PackedReason = Exclude<CloseReason, object> | Packed;

const CLASSES: Readonly<Record<string, { readonly prototype: Error }>> = {
  ConnectionLost,
  MailboxOverflow,
  ProtocolError,
  SlowConsumer,
  CallbackTimeout,
  HeapExceeded,
  WorkerExited,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** An error may be among its own causes. */
const MAX_CAUSES = 8;

const isCloneable = (value: unknown): boolean => {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
};

export const packError = (error: unknown, depth = 0): Packed => {
  try {
    return pack(error, depth);
  } catch (thrown) {
    // A property of the error has a getter that throws.
    return { value: `an error that cannot be read: ${show(thrown)}` };
  }
};

const pack = (error: unknown, depth: number): Packed => {
  if (!(error instanceof Error))
    return isCloneable(error)
      ? { value: error }
      : packError(
          codedTypeError(
            "WEBSOCK_NOT_CLONEABLE",
            `a value that cannot be passed to another thread (structured clone): ${show(error)}`,
          ),
        );
  const { name, message, stack, cause } = error;
  return {
    name: String(name),
    message: String(message),
    stack: typeof stack === "string" ? stack : undefined,
    cause: cause === undefined || depth === MAX_CAUSES ? undefined : packError(cause, depth + 1),
    properties: Object.fromEntries(Object.entries(error).filter(([, value]) => isCloneable(value))),
  };
};

export const unpackError = (packed: Packed): unknown => {
  if ("value" in packed) return packed.value;
  const { name, message, stack, cause, properties } = packed;
  const options = cause === undefined ? {} : { cause: unpackError(cause) };
  const error = new Error(message, options);
  if (Object.hasOwn(CLASSES, name)) Object.setPrototypeOf(error, CLASSES[name]!.prototype);
  Object.assign(error, properties);
  if (error.name !== name) Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  Object.defineProperty(error, "stack", { value: stack, configurable: true, writable: true });
  return error;
};

export const packReason = (reason: CloseReason): PackedReason =>
  typeof reason === "string" ? reason : packError(reason.error);

export const unpackReason = (packed: PackedReason): CloseReason =>
  typeof packed === "string" ? packed : { error: unpackError(packed) };
