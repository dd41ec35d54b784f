/** Standard Schema: the interface through which zod, valibot, arktype and others check values. */
import { isPromiseLike } from "./promise-like.ts";

/**
 * The interface of Standard Schema, version 1, as far as it is used here: zod, valibot, arktype and others implement
 * it.
 *
 * @see https://standardschema.dev
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What is wrong with a value, and where in it. */
export interface SchemaIssue {
  /** A sentence for developers, in the words of the schema's library. It may contain parts of the value. */
  readonly message: string;
  /** The keys that lead to the part of the value that is invalid. Default: the value itself. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A valid value, or the issues that make it invalid. */
export type SchemaResult<Output> = { readonly value: Output; readonly issues?: undefined } | InvalidResult;

/** The issues that make a value invalid. */
export interface InvalidResult {
  /** What is wrong with the value. */
  readonly issues: readonly SchemaIssue[];
}

/** The type of the values that a schema returns. */
export type OutputOf<Schema> = Schema extends StandardSchema<unknown, infer Output> ? Output : unknown;

/** The type of the values that a schema accepts. */
export type InputOf<Schema> = Schema extends StandardSchema<infer Input, unknown> ? Input : unknown;

/** A type whose properties are read-only at any depth: what is only read may be constant. */
export type Immutable<T> = T extends string | number | boolean | bigint | symbol | null | undefined
  ? T
  : T extends ArrayBuffer | Uint8Array | Date | ((...args: never) => unknown)
    ? T
    : T extends object
      ? { readonly [Key in keyof T]: Immutable<T[Key]> }
      : T;

/** Checks a value; without a schema, every value is valid. */
export const validate = <Output>(
  schema: StandardSchema<unknown, Output> | undefined,
  value: unknown,
): SchemaResult<Output> | PromiseLike<SchemaResult<Output>> =>
  schema === undefined ? { value: value as Output } : schema["~standard"].validate(value);

/**
 * Checks a value immediately.
 *
 * @param asyncError creates what is thrown if the schema turns out to be asynchronous
 */
export const validateSync = <Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  asyncError: (vendor: string) => TypeError,
): SchemaResult<Output> => {
  const result = validate(schema, value);
  if (!isPromiseLike(result)) return result;
  // The error says all there is to say: a rejection must not end the process.
  result.then(undefined, () => undefined);
  throw asyncError(schema["~standard"].vendor);
};

/** A large value may have as many issues as parts. */
const MAX_DESCRIBED = 5;

/** Says what is wrong, and where: `tasks.0.title: expected string`. For developers, not for clients. */
export const describeIssues = (issues: readonly SchemaIssue[]): string => {
  const shown = issues
    .slice(0, MAX_DESCRIBED)
    .map(({ message, path = [] }) => {
      const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
      return keys.length === 0 ? message : `${keys.join(".")}: ${message}`;
    })
    .join("; ");
  return issues.length > MAX_DESCRIBED ? `${shown}; and ${issues.length - MAX_DESCRIBED} more` : shown;
};

/** Whether the value is a Standard Schema. */
export const isSchema = (value: unknown): value is StandardSchema => {
  const standard = (value as Partial<StandardSchema> | null | undefined)?.["~standard"];
  return typeof standard?.validate === "function";
};
