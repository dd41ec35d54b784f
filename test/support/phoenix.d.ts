/** The part of `phoenix`, which has no types, that the tests use. */
declare module "phoenix" {
  interface PresenceChannel {
    on(event: string, handler: (payload: unknown) => void): void;
    joinRef(): string;
  }

  interface Metas<Meta> {
    metas: Meta[];
  }

  type OnChange<Meta> = (key: string, current: Metas<Meta> | undefined, changed: Metas<Meta>) => void;

  export class Presence<Meta> {
    readonly state: Record<string, Metas<Meta>>;
    constructor(channel: PresenceChannel);
    onJoin(callback: OnChange<Meta>): void;
    onLeave(callback: OnChange<Meta>): void;
    onSync(callback: () => void): void;
  }

  export interface SocketOptions {
    readonly transport?: unknown;
    readonly params?: object | (() => object);
    readonly authToken?: string;
    readonly vsn?: string;
    readonly timeout?: number;
    readonly heartbeatIntervalMs?: number;
    readonly reconnectAfterMs?: (tries: number) => number;
    readonly rejoinAfterMs?: (tries: number) => number;
  }

  export interface Push {
    receive(status: "ok" | "error" | "timeout", callback: (response: unknown) => void): Push;
  }

  export class Channel implements PresenceChannel {
    readonly state: "closed" | "errored" | "joined" | "joining" | "leaving";
    join(timeout?: number): Push;
    leave(): Push;
    push(event: string, payload: unknown, timeout?: number): Push;
    on(event: string, handler: (payload: unknown) => void): void;
    onClose(callback: () => void): void;
    onError(callback: (reason: unknown) => void): void;
    joinRef(): string;
  }

  export class Socket {
    constructor(endpoint: string, options?: SocketOptions);
    readonly conn: { close(): void } | null;
    connect(): void;
    disconnect(callback?: () => void): void;
    channel(topic: string, params?: object): Channel;
    isConnected(): boolean;
    onOpen(callback: () => void): void;
    onClose(callback: (event: { code: number; reason: string }) => void): void;
    ping(callback: (milliseconds: number) => void): boolean;
  }
}
