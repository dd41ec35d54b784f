// What the examples use of Bun and Deno, whose own types would be there in a project of theirs.
declare const Bun: {
  serve(options: object): { readonly url: URL; stop(closeActiveConnections?: boolean): Promise<void> };
};
declare const Deno: {
  readonly env: { get(name: string): string | undefined };
  serve(
    options: { readonly port: number; readonly onListen: (address: { readonly port: number }) => void },
    handler: (request: Request) => Response | Promise<Response>,
  ): { shutdown(): Promise<void> };
  addSignalListener(signal: "SIGTERM", listener: () => void): void;
  exit(): never;
};
