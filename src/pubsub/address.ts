/** Addresses: strings that name a connection. */

declare const info: unique symbol;

/**
 * The address of a connection: a string that can be stored, logged and sent elsewhere. The `PubSub` that made it
 * finds the connection, and so do those that are connected to it by a backplane.
 *
 * @typeParam Info the type of the infos that the connection's handler receives
 */
export type Address<Info = never> = string & { readonly [info]: (info: Info) => void };
