/** h3: an `UpgradeError` in the form that h3 answers without logging it as unhandled. */
import type { UpgradeError } from "../errors.ts";

/** h3 2 logs every error whose name is not `HTTPError`, and expects headers that can be iterated. */
export const asH3Error = (error: UpgradeError): UpgradeError =>
  Object.defineProperties(error, {
    name: { value: "HTTPError" },
    headers: { value: iterable(error.headers) },
    toJSON: { value: () => ({ status: error.status, message: error.message }) },
  });

const iterable = (headers: UpgradeError["headers"]): UpgradeError["headers"] =>
  Object.defineProperty({ ...headers }, Symbol.iterator, { value: () => Object.entries(headers).values() });
