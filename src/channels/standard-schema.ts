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

/** A valid value, or the issues that make it invalid. */
export type SchemaResult<Output> = { readonly value: Output; readonly issues?: undefined } | InvalidResult;

/** The issues that make a value invalid. */
export interface InvalidResult {
  readonly issues: readonly { readonly message: string }[];
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
): SchemaResult<Output> | Promise<SchemaResult<Output>> =>
  schema === undefined ? { value: value as Output } : schema["~standard"].validate(value);

/**
 * Checks a value immediately.
 *
 * @throws TypeError for a schema that is asynchronous
 */
export const validateSync = <Output>(schema: StandardSchema<unknown, Output>, value: unknown): SchemaResult<Output> => {
  const result = schema["~standard"].validate(value);
  if (!(result instanceof Promise)) return result;
  // It must not become an unhandled rejection.
  result.catch(() => {});
  throw new TypeError("the schema of a reply must be synchronous");
};

/** Whether the value is a Standard Schema. */
export const isSchema = (value: unknown): value is StandardSchema => {
  const standard = (value as Partial<StandardSchema> | null | undefined)?.["~standard"];
  return typeof standard?.validate === "function";
};
