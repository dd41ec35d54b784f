/** The types of `engines.mjs`, for the tests of the benchmarks. */
export class MissingRuntime extends Error {}
