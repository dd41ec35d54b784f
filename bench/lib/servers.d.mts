/** The types of `servers.mjs`, for the tests. */
export const SERVERS: Readonly<Record<string, { readonly script: string }>>;
