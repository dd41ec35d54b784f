/** The events until now, as JSON. */
export declare const takeEvents: () => string;
/** Upgrades a request. */
export declare const echo: (request: unknown) => undefined;
