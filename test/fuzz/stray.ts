/** Errors and rejections that nobody has taken care of, and that reached the process. */
const errors: unknown[] = [];
process.on("uncaughtException", (error) => errors.push(error));
process.on("unhandledRejection", (reason) => errors.push(reason));

/** Those since it was asked last. */
export const strayErrors = (): unknown[] => errors.splice(0);
