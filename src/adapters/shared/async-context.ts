/**
 * AsyncLocalStorage contexts, on every host that has `node:async_hooks`.
 *
 * Contexts are captured with `AsyncResource` instead of `AsyncLocalStorage.snapshot()`: that takes 90 bytes instead of
 * 1 500 to 2 700, and entering it takes 10 ns instead of 130 ns (Node 20 and 24).
 */
import type { AsyncContext } from "../../session/async-context.ts";

type AsyncHooks = typeof import("node:async_hooks");
type Resource = InstanceType<AsyncHooks["AsyncResource"]>;

interface HostProcess {
  readonly versions?: Readonly<Record<string, string | undefined>>;
  /**
   * In Node ≥ 20.16, Bun ≥ 1.1, Deno ≥ 2.1, and workerd with `nodejs_compat`. Needs no import, which other hosts lack.
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

/**
 * Before Node 24, stores are properties of the executing resource, and `enterWith` changes them permanently. Entering
 * an object that inherits from the captured resource keeps that unchanged: the change is made to the object, which is
 * dropped.
 */
const storesAreProperties = isNode && Number.parseInt(node, 10) < 24;

class ResourceContext implements AsyncContext {
  private readonly resource: Resource;

  constructor(resource: Resource) {
    this.resource = resource;
  }

  run<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => unknown,
    target: Target,
    ...args: Args
  ): void {
    const { resource } = this;
    const entered: Resource = storesAreProperties ? Object.create(resource) : resource;
    entered.runInAsyncScope(task, target, ...args);
  }
}

/**
 * For Node before 24, if `upgrade` was called with stores. Creating an object that inherits from the resource would
 * cost a microsecond per chunk here. Instead, changes by `enterWith` are undone afterwards, for the stores that
 * `upgrade` had.
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

  run<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => unknown,
    target: Target,
    ...args: Args
  ): void {
    const { resource } = this;
    try {
      resource.runInAsyncScope(task, target, ...args);
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

/** workerd throws when a context is entered from another request than the one in which it was captured. */
class RequestContext extends ResourceContext {
  override run<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => unknown,
    target: Target,
    ...args: Args
  ): void {
    let isEntered = false;
    try {
      super.run(() => {
        isEntered = true;
        task.apply(target, args);
      }, undefined);
    } catch (error) {
      if (isEntered) throw error;
      task.apply(target, args);
    }
  }
}

const contextOf = (resource: Resource): AsyncContext =>
  isWorkerd ? new RequestContext(resource) : new ResourceContext(resource);

const newResource = (): Resource | undefined => hooks && new hooks.AsyncResource("WEBSOCK");

/** Descriptions of the symbol properties of a resource that are not stores. */
const IDS: readonly (string | undefined)[] = ["async_id_symbol", "trigger_async_id_symbol"];

/** The description of the symbol under which Node 24 and later keep one map of all stores. */
const FRAME = "context_frame";

/** The symbol properties with stores that are set. */
const storesOf = (resource: Resource): readonly symbol[] =>
  Object.getOwnPropertySymbols(resource).filter((symbol) => {
    const value = storeIn(resource, symbol);
    if (symbol.description === FRAME && value instanceof Map) {
      return [...value.values()].some((store) => store !== undefined);
    }
    return value !== undefined && !IDS.includes(symbol.description);
  });

const storeIn = (resource: Resource, symbol: symbol): unknown =>
  (resource as unknown as Record<symbol, unknown>)[symbol];

/** A context without stores, even if this module is loaded while a request is being handled. */
const emptyContext = (): AsyncContext | undefined => {
  const resource = newResource();
  if (resource === undefined) return undefined;
  if (isNode) for (const symbol of storesOf(resource)) Object.assign(resource, { [symbol]: undefined });
  return contextOf(resource);
};

/** The root context, for the library's timers and for every connection whose `upgrade` call had no store set. */
export const rootContext = emptyContext();

/** Captures the context of the current `upgrade` call; `undefined` on hosts without AsyncLocalStorage. */
export const captureContext = (): AsyncContext | undefined => {
  const resource = newResource();
  if (resource === undefined) return undefined;
  // On Node, it is visible whether any store is set. Most connections have none and share the root context.
  if (!isNode) return contextOf(resource);
  const stores = storesOf(resource);
  if (stores.length === 0) return rootContext;
  return storesAreProperties ? new StoresContext(resource, stores) : contextOf(resource);
};

/** Whether the current code runs without stores. `false` also means that the host does not tell. */
export const isInRootContext = (): boolean => isNode && captureContext() === rootContext;

/** Runs `task` in the root context, for timers that connections share. */
export const runInRoot = <T>(task: () => T): T => {
  if (rootContext === undefined) return task();
  let result!: T;
  rootContext.run(() => {
    result = task();
  }, undefined);
  return result;
};
