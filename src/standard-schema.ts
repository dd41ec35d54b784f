/** Standard Schema: the interface through which zod, valibot, arktype and others check values. */

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
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** The type of the values that a schema accepts. */
export type InputOf<Schema> = Schema extends StandardSchema<infer Input, unknown> ? Input : unknown;

/** The type of the values that a schema returns. */
export type OutputOf<Schema> = Schema extends StandardSchema<unknown, infer Output> ? Output : unknown;

/** Checks a value; without a schema, every value is valid. */
export const validate = <Output>(
  schema: StandardSchema<unknown, Output> | undefined,
  value: unknown,
): SchemaResult<Output> | Promise<SchemaResult<Output>> =>
  schema === undefined ? { value: value as Output } : schema["~standard"].validate(value);

/** Whether the value is a Standard Schema. Those of arktype are functions. */
export const isSchema = (value: unknown): value is StandardSchema => {
  const standard = (value as Partial<StandardSchema> | null | undefined)?.["~standard"];
  return typeof standard?.validate === "function";
};
