/** Event listeners of a client. */

type Listener = (...args: never[]) => void;

export interface Emitter {
  on(event: string, listener: Listener): unknown;
  off(event: string, listener: Listener): unknown;
}

/** Adds listeners. Returns a function that removes them. */
export const listen = (emitter: Emitter, listeners: Readonly<Record<string, Listener>>): (() => void) => {
  for (const [event, listener] of Object.entries(listeners)) emitter.on(event, listener);
  return () => {
    for (const [event, listener] of Object.entries(listeners)) emitter.off(event, listener);
  };
};
