// What the examples use of Bun, Deno and Cloudflare, whose own types would be there in a project of theirs.
declare const Bun: {
  serve(options: object): { readonly url: URL; stop(closeActiveConnections?: boolean): Promise<void> };
};
declare const Deno: {
  readonly env: { get(name: string): string | undefined };
  serve(
    options: { readonly port: number; readonly onListen?: (address: { readonly port: number }) => void },
    handler: (request: Request) => Response | Promise<Response>,
  ): { shutdown(): Promise<void> };
  addSignalListener(signal: "SIGTERM", listener: () => void): void;
  exit(): never;
};
declare module "cloudflare:workers" {
  export abstract class DurableObject<Env = unknown> {
    protected ctx: import("websock-js/cloudflare").DurableObjectContext;
    protected env: Env;
    constructor(ctx: DurableObject["ctx"], env: Env);
  }
}
