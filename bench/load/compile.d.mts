/** The types of `compile.mjs`, for the test of the load. */
export function compileLoad(): { readonly path?: string; readonly problem?: string };
