/**
 * AsyncLocalStorage contexts, on every host that has `node:async_hooks`.
 *
 * `AsyncResource` is used instead of `AsyncLocalStorage.snapshot()`: it needs 90 bytes instead of 1 500 to 2 700, and
 * entering it takes 10 ns instead of 130 ns (Node 20 and 24).
 */
import type { AsyncContext } from "../../session/async-context.ts";

type AsyncHooks = typeof import("node:async_hooks");
type Resource = InstanceType<AsyncHooks["AsyncResource"]>;

interface HostProcess {
  readonly versions?: Readonly<Record<string, string | undefined>>;
  /** Node ≥ 20.16, Bun ≥ 1.1, Deno ≥ 2.1, and workerd with `nodejs_compat`. It loads a module only where there is one. */
  getBuiltinModule?(name: "node:async_hooks"): AsyncHooks | undefined;
}

const { process } = globalThis as { process?: HostProcess };
const hooks = process?.getBuiltinModule?.("node:async_hooks");

/** Whether callbacks can run in the context of their `upgrade` call. */
export const hasAsyncContexts = hooks !== undefined;

const { node, bun, deno } = process?.versions ?? {};
const isWorkerd = "WebSocketPair" in globalThis;
/** The other hosts call themselves Node, too. */
const isNode = node !== undefined && bun === undefined && deno === undefined && !isWorkerd;

/**
 * Before Node 24, stores are properties of the executing resource, and `enterWith` changes them for as long as that
 * resource lives. An object that inherits from the captured resource takes the change instead, and is then dropped.
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
 * The same on Node before version 24, for a connection with stores of its own. An object that inherits from each connection's
 * resource would cost a microsecond per chunk, so `enterWith` is undone afterwards, for the stores that `upgrade` had.
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

/** workerd lets nobody enter a context from another request than that in which it was captured. */
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

/** The descriptions of the symbols that Node's resources have besides stores. */
const IDS: readonly (string | undefined)[] = ["async_id_symbol", "trigger_async_id_symbol"];

/** From Node 24 on, one map of all stores is kept under a symbol of this description. */
const FRAME = "context_frame";

/** The properties in which Node keeps stores that are set. */
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

/** The context of code that belongs to no request, even if this module was first loaded within one. */
const emptyContext = (): AsyncContext | undefined => {
  const resource = newResource();
  if (resource === undefined) return undefined;
  if (isNode) for (const symbol of storesOf(resource)) Object.assign(resource, { [symbol]: undefined });
  return contextOf(resource);
};

/** Shared by all timers of the library and by every connection whose `upgrade` call had no context. */
export const rootContext = emptyContext();

/** Captures the context of the current `upgrade` call; `undefined` where the host has no AsyncLocalStorage. */
export const captureContext = (): AsyncContext | undefined => {
  const resource = newResource();
  if (resource === undefined) return undefined;
  // Node shows whether any store is set: most connections then need no memory for a context of their own.
  if (!isNode) return contextOf(resource);
  const stores = storesOf(resource);
  if (stores.length === 0) return rootContext;
  return storesAreProperties ? new StoresContext(resource, stores) : contextOf(resource);
};

/** Runs `task` outside of any request's context: for timers that connections share. */
export const runInRoot = <T>(task: () => T): T => {
  if (rootContext === undefined) return task();
  let result!: T;
  rootContext.run(() => {
    result = task();
  }, undefined);
  return result;
};
