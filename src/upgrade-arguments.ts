/** What follows the handler in a call of `upgrade`, `host` or `connect`: `arg` for its `init`, and options. */
import { isOptionName, type WebSockOptions } from "./options.ts";
import { type Callback, type Callbacks, callbacksOf } from "./session/handler.ts";

/** Without the names of options, but for `headers`: requests, for one, have those, too. */
type WithoutOptions = { readonly [Name in Exclude<keyof WebSockOptions, "headers">]?: undefined };

/** Any value but options. The two kinds of objects are literals, and instances of classes and interfaces. */
type AnythingButOptions =
  | (string | number | boolean | symbol | bigint | null | undefined)
  | (WithoutOptions & { readonly [name: string]: unknown })
  | (WithoutOptions & object);

/**
 * `arg` may be left out where `init` takes none. Options come after it: `upgrade(req, Handler, undefined, options)`; in the
 * place of an `arg` that `init` does not take, they are refused.
 */
// Not by a default of `Arg` instead: TypeScript would fix it before it reads the parameters of an inline `init`.
export type UpgradeArguments<Arg> = unknown extends Arg
  ? [arg?: AnythingButOptions, options?: WebSockOptions]
  : undefined extends Arg
    ? [arg?: Arg, options?: WebSockOptions]
    : [arg: Arg, options?: WebSockOptions];

/**
 * The callbacks of a handler that is called with these arguments.
 *
 * @throws TypeError for what is no handler, and for options in the place of `arg`: they would have no effect
 */
export const callbacksFor = (handler: object, arg: unknown, options: unknown): Callbacks => {
  const callbacks = callbacksOf(handler);
  if (options === undefined && looksLikeOptions(arg) && takesNothing(callbacks.init)) {
    const names = Object.keys(arg).join(", ");
    throw new TypeError(
      `the handler's "init" takes no argument but received { ${names} }, which looks like options; ` +
        `pass options after arg, as in upgrade(req, Handler, undefined, { ${names} })`,
    );
  }
  return callbacks;
};

/** A plain object with names of options only. */
const looksLikeOptions = (arg: unknown): arg is object => {
  if (typeof arg !== "object" || arg === null) return false;
  const prototype: unknown = Object.getPrototypeOf(arg);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const names = Object.keys(arg);
  return names.length > 0 && names.every(isOptionName);
};

/**
 * Whether a function certainly takes no argument. Its `length` is 0 with a default value or rest parameters, too, so the
 * source has to show an empty list; native and bound functions show none, and are left alone.
 */
const takesNothing = (init: Callback): boolean => {
  if (init.length > 0) return false;
  const source = Function.prototype.toString.call(init);
  return /^[^(]*\(\s*\)/.test(source) && !/\barguments\b|\[native code\]/.test(source);
};
