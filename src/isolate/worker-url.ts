/** Where the program of the workers is. A module of its own: tests run the sources, and replace it. */

export const workerUrl = new URL("./worker/entry.js", import.meta.url);
