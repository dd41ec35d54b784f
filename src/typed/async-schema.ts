/** Finds schemas that validate asynchronously, which cannot check outgoing messages. */
import { codedTypeError } from "../error-codes.ts";
import { isPromiseLike } from "../promise-like.ts";
import { type StandardSchema, validate } from "../standard-schema.ts";

/** The error for an outgoing message that cannot be checked synchronously. */
export const asyncOut = (vendor: string): TypeError =>
  codedTypeError(
    "WEBSOCK_ASYNC_SCHEMA",
    'the schema "out" validates asynchronously, but messages are sent synchronously: use a schema without asynchronous ' +
      `checks and transforms, and do what needs a promise before sending${vendor === "zod" ? ZOD_THROWS : ""}`,
  );

const ZOD_THROWS = ". (A schema of zod also becomes asynchronous if one of its functions throws.)";

/**
 * Whether a schema validates asynchronously, as far as that can be known before it is used: of valibot, every schema;
 * of zod 4, one with a promise or an `async` function that is visible in its definition; of other libraries, one that
 * answers `undefined` with a promise. (Schemas of arktype are always synchronous.)
 */
export const isAsyncSchema = (schema: StandardSchema): boolean =>
  schema["~standard"].vendor === "zod" && "_zod" in schema ? zodIsAsync(schema) : answersLater(schema);

const zodIsAsync = (schema: object): boolean => {
  try {
    return hasAsyncPart(schema, new Set());
  } catch {
    // The schema of a `z.lazy` is defined later.
    return false;
  }
};

const answersLater = (schema: StandardSchema): boolean => {
  try {
    const result = validate(schema, undefined);
    if (!isPromiseLike(result)) return false;
    result.then(undefined, () => undefined);
    return true;
  } catch {
    // A function of the application that takes no `undefined`.
    return false;
  }
};

/** A `z.lazy` may create a new schema each time. */
const MAX_PARTS = 1_000;

/** A schema or check of zod. */
interface ZodPart {
  readonly _zod: { readonly def: ZodDefinition; readonly check?: unknown };
}

interface ZodDefinition {
  readonly type?: string;
  /** The schema of a `z.lazy`. */
  readonly getter?: () => unknown;
}

/** Looks for `async` functions in the definition of a schema of zod, and in the schemas and checks of which it consists. */
const hasAsyncPart = (part: unknown, seen: Set<unknown>): boolean => {
  if (typeof part === "function") return part.constructor.name === "AsyncFunction";
  if (typeof part !== "object" || part === null || seen.has(part) || seen.size > MAX_PARTS) return false;
  seen.add(part);
  const zod = (part as Partial<ZodPart>)._zod;
  if (zod !== undefined) {
    if (zod.def.type === "promise") return true;
    if (zod.def.type === "lazy") return hasAsyncPart(zod.def.getter?.(), seen);
    return hasAsyncPart(zod.check, seen) || hasAsyncPart(zod.def, seen);
  }
  // What else a definition has: arrays and objects of parts. Instances of other classes are values.
  const isPlain = Array.isArray(part) || Object.getPrototypeOf(part) === Object.prototype;
  if (!isPlain) return false;
  // A default value may be computed by a function of the application.
  const keys = Object.keys(part).filter((key) => key !== "defaultValue");
  return keys.some((key) => hasAsyncPart(Reflect.get(part, key), seen));
};
