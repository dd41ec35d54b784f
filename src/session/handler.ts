/** A handler as the session calls it: checked once, with its callbacks looked up once. */
export type CallbackName = "init" | "handleIn" | "handleControl" | "handleInfo" | "terminate";

export type Callback = (...args: unknown[]) => unknown;

/**
 * The callbacks, and the object that they are called on: a class instance's need it. `handleIn` is called as its method,
 * which is faster.
 */
export interface Callbacks {
  readonly target: { readonly handleIn: Callback };
  readonly init: Callback;
  readonly handleIn: Callback;
  readonly handleControl: Callback | undefined;
  readonly handleInfo: Callback | undefined;
  readonly terminate: Callback | undefined;
}

const NAMES = ["init", "handleIn", "handleControl", "handleInfo", "terminate"] as const;
const REQUIRED: ReadonlySet<string> = new Set(["init", "handleIn"]);

const known = new WeakMap<object, Callbacks>();

/**
 * Looks up the callbacks of a module, an object or a class instance.
 *
 * @throws TypeError if one is missing or no function, or if a property is named like a callback but is none of ours
 */
export const callbacksOf = (handler: object): Callbacks => {
  if (typeof handler !== "object" || handler === null) {
    throw new TypeError(`a handler must be a module, an object or a class instance, not ${String(handler)}`);
  }
  let callbacks = known.get(handler);
  if (callbacks === undefined) known.set(handler, (callbacks = lookUp(handler)));
  return callbacks;
};

const lookUp = (handler: object): Callbacks => {
  for (const name of propertyNames(handler)) {
    if (name.startsWith("handle") && !(NAMES as readonly string[]).includes(name)) {
      throw new TypeError(`a handler has no callback "${name}"; there are ${NAMES.join(", ")}`);
    }
  }
  for (const name of NAMES) {
    const value: unknown = (handler as Record<string, unknown>)[name];
    if (typeof value !== "function" && (value !== undefined || REQUIRED.has(name))) {
      throw new TypeError(`the handler's "${name}" must be a function, not ${String(value)}`);
    }
  }
  return {
    target: handler,
    ...Object.fromEntries(NAMES.map((name) => [name, (handler as Record<string, unknown>)[name]])),
  } as unknown as Callbacks;
};

function* propertyNames(handler: object): Generator<string> {
  for (let object = handler; object !== null && object !== Object.prototype; object = Object.getPrototypeOf(object)) {
    yield* Object.getOwnPropertyNames(object);
  }
}
