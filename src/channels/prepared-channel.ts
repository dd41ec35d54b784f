/** A channel of the application, checked, and with what belongs to an event in one place. */
import { codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";
import { isSchema, type StandardSchema } from "../standard-schema.ts";
import type { Channel, Events } from "./channel.ts";
import type { PresenceSource } from "./presence-messages.ts";
import type { Status } from "./results.ts";

export type AnyCallback = (...args: unknown[]) => unknown;

/** A channel as the application has written it. The types of its callbacks are unknown here. */
export interface AnyChannel
  extends Omit<Channel<unknown, unknown, unknown>, "events" | "handleIn" | "handleOut" | "joinReply"> {
  readonly handleIn?: AnyCallback | object;
  readonly handleOut?: object;
  readonly events?: Events;
  readonly joinReply?: StandardSchema;
}

/** What is called for an event of the client, and the schemas of its payload and of its replies. */
export interface EventHandler {
  readonly callback: AnyCallback;
  readonly payload: StandardSchema | undefined;
  readonly replies: Readonly<Record<Status, StandardSchema | undefined>>;
}

const NO_SCHEMAS: Pick<EventHandler, "payload" | "replies"> = {
  payload: undefined,
  replies: { ok: undefined, error: undefined },
};

export class PreparedChannel {
  readonly callbacks: AnyChannel;
  /** What is called for broadcast events instead of sending them to the client. */
  readonly out: ReadonlyMap<string, AnyCallback>;
  private readonly events: ReadonlyMap<string, EventHandler>;
  /** For the events that are not in {@link events}. */
  private readonly otherEvents: EventHandler | undefined;

  /**
   * @param topic for error messages
   * @throws TypeError for a callback that is not a function, and for a schema that is none
   */
  constructor(topic: string, callbacks: AnyChannel) {
    if (typeof callbacks !== "object" || callbacks === null)
      throw codedTypeError(
        "WEBSOCK_INVALID_CHANNEL",
        `the channel "${topic}" must be an object with callbacks, not ${show(callbacks)}`,
      );
    const { join, handleIn, handleInfo, handleOut, terminate, params, joinReply, presence, events } = callbacks;
    const fail = (name: string, expected: string, value: unknown): never => {
      throw codedTypeError(
        "WEBSOCK_INVALID_CHANNEL",
        `"${name}" of the channel "${topic}" must be ${expected}, not ${show(value)}`,
      );
    };
    if (typeof join !== "function") fail("join", "a function", join);
    for (const [name, callback] of Object.entries({ handleInfo, terminate }))
      if (callback !== undefined && typeof callback !== "function") fail(name, "a function", callback);
    for (const [name, schema] of Object.entries({ params, joinReply }))
      if (schema !== undefined && !isSchema(schema)) fail(name, "a Standard Schema", schema);
    if (!isPresence(presence)) fail("presence", "a Presence", presence);
    const functionsOf = (name: string, object: unknown): ReadonlyMap<string, AnyCallback> =>
      allFunctions(object) ?? fail(name, "an object with functions", object);
    const schemas = new Map(
      Object.entries(events ?? {}).map(([event, given]) => [
        event,
        schemasOf(given) ?? fail(`events.${event}`, "a Standard Schema, or an object with Standard Schemas", given),
      ]),
    );
    this.callbacks = callbacks;
    this.out = functionsOf("handleOut", handleOut ?? {});
    if (typeof handleIn === "function") {
      const callback = handleIn as AnyCallback;
      this.events = new Map([...schemas].map(([event, its]) => [event, { callback, ...its }]));
      this.otherEvents = events === undefined ? { callback, ...NO_SCHEMAS } : undefined;
    } else {
      const handlers = [...functionsOf("handleIn", handleIn ?? {})].map(([event, callback]) => {
        const its = events === undefined ? NO_SCHEMAS : schemas.get(event);
        if (its === undefined)
          throw codedTypeError(
            "WEBSOCK_INVALID_CHANNEL",
            `"handleIn" of the channel "${topic}" has a function for "${event}", which is not in "events"`,
          );
        return [event, { callback, ...its }] as const;
      });
      this.events = new Map(handlers);
      this.otherEvents = undefined;
    }
  }

  get presence(): PresenceSource | undefined {
    return this.callbacks.presence;
  }

  /** `undefined` for an event that clients may not send. */
  handlerOf(event: string): EventHandler | undefined {
    return this.events.get(event) ?? this.otherEvents;
  }
}

const isPresence = (value: unknown): boolean =>
  value === undefined || typeof (value as PresenceSource | null)?.onDiff === "function";

/** The schemas of an event; `undefined` if the value in `events` is not one of the possible values. */
const schemasOf = (given: Events[string]): Pick<EventHandler, "payload" | "replies"> | undefined => {
  if (given === "unchecked") return NO_SCHEMAS;
  if (isSchema(given)) return { ...NO_SCHEMAS, payload: given };
  if (typeof given !== "object" || given === null) return undefined;
  const { payload, reply: ok, error, ...others } = given;
  const areSchemas = [payload, ok, error].every((schema) => schema === undefined || isSchema(schema));
  return areSchemas && Object.keys(others).length === 0 ? { payload, replies: { ok, error } } : undefined;
};

/**
 * The functions of an object, by name, with those of its prototypes, as a class has them. Those that every object has
 * are not among them: names come from clients. `undefined` if one of the properties is not a function.
 */
const allFunctions = (object: unknown): Map<string, AnyCallback> | undefined => {
  const functions = new Map<string, AnyCallback>();
  if (typeof object !== "object" || object === null) return undefined;
  for (let its: object | null = object; its !== null; its = Object.getPrototypeOf(its)) {
    // Object.prototype, possibly of another realm.
    const isRoot = its !== object && Object.hasOwn(its, "hasOwnProperty");
    for (const name of isRoot ? [] : Object.getOwnPropertyNames(its)) {
      const value: unknown = Reflect.get(its, name, object);
      if (functions.has(name) || value === undefined || (its !== object && name === "constructor")) continue;
      if (typeof value !== "function") return undefined;
      functions.set(name, value as AnyCallback);
    }
  }
  return functions;
};
