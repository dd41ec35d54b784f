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
  }
}
