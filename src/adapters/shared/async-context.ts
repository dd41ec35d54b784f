/**
 * AsyncLocalStorage contexts, on every host that has `node:async_hooks`.
 *
 * A context is captured with an `AsyncResource`. It takes 90 bytes, and entering it takes 10 ns. With
 * `AsyncLocalStorage.snapshot()`, it would be 1 500 to 2 700 bytes and 130 ns (Node 20 and 24).
 */
import type { AsyncContext } from "../../session/async-context.ts";

type AsyncHooks = typeof import("node:async_hooks");
type Resource = InstanceType<AsyncHooks["AsyncResource"]>;
type Task = (...args: unknown[]) => unknown;

interface HostProcess {
  readonly versions?: Readonly<Record<string, string | undefined>>;
  /**
   * Exists in Node ≥ 20.16, Bun ≥ 1.1, Deno ≥ 2.1, and workerd with `nodejs_compat`. An `import` of the module would
   * fail on other hosts.
   */
  getBuiltinModule?(name: "node:async_hooks"): AsyncHooks | undefined;
}

const { process } = globalThis as { process?: HostProcess };
const hooks = process?.getBuiltinModule?.("node:async_hooks");

/** Whether callbacks can run in the context of their `upgrade` call. */
export const hasAsyncContexts = hooks !== undefined;

const { node, bun, deno } = process?.versions ?? {};
const isWorkerd = "WebSocketPair" in globalThis;
/** Bun, Deno and workerd also define `process.versions.node`. */
const isNode = node !== undefined && bun === undefined && deno === undefined && !isWorkerd;
const isBun = bun !== undefined;

const { setTimeout, clearTimeout } = globalThis;
const noop = (): void => undefined;

/**
 * Whether the current code on Bun runs in a context with stores. In such a context, Bun wraps the callback of a timer,
 * to enter the context again when it calls the callback.
 */
const hasStoresOnBun = (): boolean => {
  const timer: { readonly _onTimeout?: unknown } = setTimeout(noop, 0);
  clearTimeout(timer as ReturnType<typeof setTimeout>);
  return timer._onTimeout !== noop;
};

/**
 * Before Node 24, stores are properties of the current AsyncResource, so `enterWith` would change the captured resource
 * permanently. Therefore an object that inherits from the resource is entered instead. `enterWith` changes only that
 * object, which is discarded after the call.
 */
const storesAreProperties = isNode && Number.parseInt(node, 10) < 24;

class ResourceContext implements AsyncContext {
  private readonly resource: Resource;

  constructor(resource: Resource) {
    this.resource = resource;
  }

  run<Target, A, B, C>(task: (this: Target, a: A, b: B, c: C) => unknown, target: Target, a?: A, b?: B, c?: C): void {
    const { resource } = this;
    const entered: Resource = storesAreProperties ? Object.create(resource) : resource;
    entered.runInAsyncScope(task as Task, target, a, b, c);
  }
}

/**
 * The context of an `upgrade` call with stores, on Node before 24. After each event, the stores that were set at
 * `upgrade` get their values back, which undoes changes by `enterWith`. It does not use an inheriting object as {@link
 * ResourceContext} does: the resource of each connection would be the prototype of a new object for each event, and V8
 * would create new hidden classes for these objects.
 */
class StoresContext implements AsyncContext {
  private readonly resource: Resource;
  private readonly symbols: readonly symbol[];
  private readonly stores: readonly unknown[];

  constructor(resource: Resource, symbols: readonly symbol[]) {
    this.resource = resource;
    this.symbols = symbols;
    this.stores = symbols.map((symbol) => storeIn(resource, symbol));
  }

  run<Target, A, B, C>(task: (this: Target, a: A, b: B, c: C) => unknown, target: Target, a?: A, b?: B, c?: C): void {
    const { resource } = this;
    try {
      resource.runInAsyncScope(task as Task, target, a, b, c);
    } finally {
      this.restore();
    }
  }

  private restore(): void {
    const { resource, symbols, stores } = this;
    for (let i = 0; i < symbols.length; i++) {
      if (storeIn(resource, symbols[i]!) !== stores[i]) Object.assign(resource, { [symbols[i]!]: stores[i] });
    }
  }
}

/**
 * The context on workerd, which throws if code of one request enters a context that was captured in another request.
 * The task then runs in the current context.
 */
class RequestContext extends ResourceContext {
  override run<Target, A, B, C>(
    task: (this: Target, a: A, b: B, c: C) => unknown,
    target: Target,
    a?: A,
    b?: B,
    c?: C,
  ): void {
    let isEntered = false;
    try {
      super.run(() => {
        isEntered = true;
        task.call(target, a as A, b as B, c as C);
      }, undefined);
    } catch (error) {
      if (isEntered) throw error;
      task.call(target, a as A, b as B, c as C);
    }
  }
}

const contextOf = (resource: Resource): AsyncContext =>
  isWorkerd ? new RequestContext(resource) : new ResourceContext(resource);

const newResource = (): Resource | undefined => hooks && new hooks.AsyncResource("WEBSOCK");

/** A resource has its stores under symbols. These are the descriptions of its other symbols. */
const NON_STORE_SYMBOLS: readonly (string | undefined)[] = ["async_id_symbol", "trigger_async_id_symbol"];

/** The description of the symbol under which Node 24 and later keep one map of all stores. */
const FRAME = "context_frame";

/** Returns the symbols under which `resource` has stores with a value. */
const storesOf = (resource: Resource): readonly symbol[] =>
  Object.getOwnPropertySymbols(resource).filter((symbol) => {
    const value = storeIn(resource, symbol);
    if (symbol.description === FRAME && value instanceof Map) {
      return [...value.values()].some((store) => store !== undefined);
    }
    return value !== undefined && !NON_STORE_SYMBOLS.includes(symbol.description);
  });

const storeIn = (resource: Resource, symbol: symbol): unknown =>
  (resource as unknown as Record<symbol, unknown>)[symbol];

/**
 * Creates the root context. If this module is loaded while a request is being handled, its stores are removed on Node,
 * and kept on other hosts.
 */
const emptyContext = (): AsyncContext | undefined => {
  const resource = newResource();
  if (resource === undefined) return undefined;
  if (isNode) for (const symbol of storesOf(resource)) Object.assign(resource, { [symbol]: undefined });
  return contextOf(resource);
};

/**
 * The root context, for the library's timers. On Node and Bun, also the context of every connection whose `upgrade`
 * call had no stores.
 */
export const rootContext = emptyContext();

/**
 * Whether it can be found out if the current context has stores. On Bun, only if {@link rootContext} itself was
 * captured without stores.
 */
const showsStores = isNode || (isBun && !hasStoresOnBun());

/** Captures the context of the current `upgrade` call; `undefined` on hosts without AsyncLocalStorage. */
export const captureContext = (): AsyncContext | undefined => {
  const resource = newResource();
  if (resource === undefined) return undefined;
  // Most connections have no stores, and share the root context.
  if (isBun) return isInRootContext() ? rootContext : contextOf(resource);
  if (!isNode) return contextOf(resource);
  const stores = storesOf(resource);
  if (stores.length === 0) return rootContext;
  return storesAreProperties ? new StoresContext(resource, stores) : contextOf(resource);
};

/** Whether the current code runs without stores. Always `false` on hosts that don't show whether there are any. */
export const isInRootContext = (): boolean =>
  showsStores && (isBun ? !hasStoresOnBun() : captureContext() === rootContext);

/** Runs `task` in the root context, for timers that connections share. */
export const runInRoot = <T>(task: () => T): T => {
  if (rootContext === undefined) return task();
  let result!: T;
  rootContext.run(() => {
    result = task();
  }, undefined);
  return result;
};
