/** Checks handlers and looks up their callbacks, once per handler. */
import { codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";

export type CallbackName = "init" | "handleIn" | "handleControl" | "handleInfo" | "terminate";

export type Callback = (...args: unknown[]) => unknown;

/**
 * The key of a callback that only the library's own handlers have. A handler that passes messages on, and returns
 * before they are handled, uses it to finish them: see {@link Callbacks.finish}.
 */
export const FINISH: unique symbol = Symbol("finish");

/**
 * A handler's callbacks, and the object on which they are called (`this` in the methods of a class instance).
 * `handleIn` is called as a method of `target`, which is faster.
 */
export interface Callbacks {
  readonly target: { readonly handleIn: Callback };
  readonly init: Callback;
  readonly handleIn: Callback;
  /** Called for messages that have waited in the mailbox. Default: `handleIn` of the target. */
  readonly queuedHandleIn?: Callback;
  readonly handleControl: Callback | undefined;
  readonly handleInfo: Callback | undefined;
  readonly terminate: Callback | undefined;
  /**
   * Called when the peer has closed or is lost, and no message is queued; the end is decided when its promise has
   * settled. Of the handlers of applications, none has it.
   */
  readonly finish?: Callback | undefined;
  /** The handler's name in reports, if it has one. */
  readonly name?: string | undefined;
}

const NAMES = ["init", "handleIn", "handleControl", "handleInfo", "terminate"] as const;
/** Names that look like callbacks: a misspelt callback would never be called. `handler` and `handled` are allowed. */
const RESERVED = /^handle[A-Z]/;
const REQUIRED: ReadonlySet<string> = new Set(["init", "handleIn"]);

const cache = new WeakMap<object, Callbacks>();

/**
 * Looks up the callbacks of a module, an object or a class instance. The result is cached.
 *
 * @throws TypeError if a required callback is missing, if a callback is not a function, or if a property is named like
 * a callback but is none
 */
export const callbacksOf = (handler: object): Callbacks => {
  if (typeof handler !== "object" || handler === null) {
    throw codedTypeError(
      "WEBSOCK_INVALID_HANDLER",
      `a handler must be a module, an object or a class instance, not ${show(handler)}`,
    );
  }
  let callbacks = cache.get(handler);
  if (callbacks === undefined) cache.set(handler, (callbacks = lookUp(handler)));
  return callbacks;
};

const lookUp = (handler: object): Callbacks => {
  for (const name of propertyNames(handler)) {
    if (RESERVED.test(name) && !(NAMES as readonly string[]).includes(name)) {
      throw codedTypeError(
        "WEBSOCK_INVALID_HANDLER",
        `unknown callback "${name}"; valid callbacks are ${NAMES.join(", ")}. If it is a helper, rename it`,
      );
    }
  }
  for (const name of NAMES) {
    const value: unknown = (handler as Record<string, unknown>)[name];
    if (typeof value !== "function" && (value !== undefined || REQUIRED.has(name))) {
      throw codedTypeError("WEBSOCK_INVALID_HANDLER", `the handler's "${name}" must be a function, not ${show(value)}`);
    }
  }
  return {
    target: handler,
    ...Object.fromEntries(NAMES.map((name) => [name, (handler as Record<string, unknown>)[name]])),
    finish: (handler as { readonly [FINISH]?: Callback })[FINISH],
    name: nameOf(handler),
  } as unknown as Callbacks;
};

/** The class name of a class instance, else the property `name`. (Modules and objects have no name of their own.) */
const nameOf = (handler: object): string | undefined => {
  const { constructor: Class, name } = handler as { readonly constructor?: unknown; readonly name?: unknown };
  if (typeof Class === "function" && Class !== Object && Class.name !== "") return Class.name;
  return typeof name === "string" && name !== "" ? name : undefined;
};

function* propertyNames(handler: object): Generator<string> {
  for (let object = handler; object !== null && object !== Object.prototype; object = Object.getPrototypeOf(object)) {
    yield* Object.getOwnPropertyNames(object);
  }
}
