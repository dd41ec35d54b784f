/** The arguments after the handler in a call of `upgrade`, `host` or `connect`: `arg` and `options`. */
import { codedTypeError } from "./error-codes.ts";
import { isOptionName, type WebSockOptions } from "./options.ts";
import { type Callbacks, callbacksOf } from "./session/handler.ts";

/** An object without properties that are named like options, except `headers`, which requests have, too. */
type WithoutOptions = { readonly [Name in Exclude<keyof WebSockOptions, "headers">]?: undefined };

/** Any value that does not look like options. The two object types are for literals and for instances of classes. */
type AnythingButOptions =
  | (string | number | boolean | symbol | bigint | null | undefined)
  | (WithoutOptions & { readonly [name: string]: unknown })
  | (WithoutOptions & object);

/**
 * The last arguments of `upgrade`: `[arg, options?]`. If `init` takes no argument, `arg` may be omitted or `undefined`,
 * as in `upgrade(req, Handler, undefined, options)`. Options in the place of `arg` do not compile.
 *
 * @typeParam Arg the type of the first parameter of the handler's `init`
 */
// `Arg` has no default: TypeScript would apply it before it infers the type from the parameters of an inline `init`.
export type UpgradeArguments<Arg> = unknown extends Arg
  ? [arg?: AnythingButOptions, options?: WebSockOptions]
  : undefined extends Arg
    ? [arg?: Arg, options?: WebSockOptions]
    : [arg: Arg, options?: WebSockOptions];

/**
 * Looks up the callbacks of a handler.
 *
 * @throws TypeError for an invalid handler, and for options in the place of `arg`, where they would have no effect
 */
export const callbacksFor = (handler: object, arg: unknown, options: unknown): Callbacks => {
  const callbacks = callbacksOf(handler);
  if (options === undefined && looksLikeOptions(arg) && takesNothing(callbacks.init)) {
    const names = Object.keys(arg).join(", ");
    throw codedTypeError(
      "WEBSOCK_INVALID_ARGUMENT",
      `the handler's "init" takes no argument but received { ${names} }, which looks like options; ` +
        `pass options after arg, as in upgrade(req, Handler, undefined, { ${names} })`,
    );
  }
  return callbacks;
};

/** Whether a value is a plain object whose properties are all named like options. */
const looksLikeOptions = (arg: unknown): arg is object => {
  if (typeof arg !== "object" || arg === null) return false;
  const prototype: unknown = Object.getPrototypeOf(arg);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const names = Object.keys(arg);
  return names.length > 0 && names.every(isOptionName);
};

/**
 * Whether a function certainly takes no argument. `length` is also 0 for parameters with a default value and for rest
 * parameters, so the parameter list in the source must be empty, too. Native and bound functions have no source.
 */
export const takesNothing = (init: (...args: never) => unknown): boolean => {
  if (init.length > 0) return false;
  const source = Function.prototype.toString.call(init);
  return /^[^(]*\(\s*\)/.test(source) && !/\barguments\b|\[native code\]/.test(source);
};
