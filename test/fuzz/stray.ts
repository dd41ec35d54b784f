/** Collects uncaught errors and unhandled rejections. */
const errors: unknown[] = [];
process.on("uncaughtException", (error) => errors.push(error));
process.on("unhandledRejection", (reason) => errors.push(reason));

/** The errors since the last call. */
export const strayErrors = (): unknown[] => errors.splice(0);
