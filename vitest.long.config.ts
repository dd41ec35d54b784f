import config from "./vitest.config.ts";

/** Slow suites that rarely fail: `npm run test:long`. */
export default {
  ...config,
  test: { ...config.test, include: ["test/**/*.long.test.ts", "packages/*/test/**/*.long.test.ts"], exclude: [] },
};
