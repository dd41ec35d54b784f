/** Why a worker has ended. */
import { withCode } from "../error-codes.ts";

/**
 * The worker of the connection needed more memory than `maxHeapSize`. All connections of that worker are closed with
 * 1011. `terminate` cannot run, because the worker is gone. The error is reported to `onError` for each connection.
 *
 * ```ts
 * attach(server, { onError: (error) => error instanceof HeapExceeded && console.error(error) });
 * ```
 */
export class HeapExceeded extends Error {
  override readonly name = "HeapExceeded";
  readonly code = "WEBSOCK_HEAP_EXCEEDED";

  constructor(message: string) {
    super(withCode("WEBSOCK_HEAP_EXCEEDED", message));
  }
}

/**
 * A callback kept the worker of the connection busy for longer than `maxCallbackTime`. All connections of that worker
 * are closed with 1011, and reported, as with {@link HeapExceeded}.
 *
 * ```ts
 * attach(server, { onError: (error) => error instanceof CallbackTimeout && console.error(error) });
 * ```
 */
export class CallbackTimeout extends Error {
  override readonly name = "CallbackTimeout";
  readonly code = "WEBSOCK_CALLBACK_TIMEOUT";

  constructor(message: string) {
    super(withCode("WEBSOCK_CALLBACK_TIMEOUT", message));
  }
}

/**
 * The worker of the connection ended: its `cause` is an exception that nothing caught, or an error of the handler's
 * module; without a cause, `process.exit()` was called in it. All connections of that worker are closed with 1011, and
 * reported, as with {@link HeapExceeded}.
 *
 * ```ts
 * attach(server, { onError: (error) => error instanceof WorkerExited && console.error(error.cause) });
 * ```
 */
export class WorkerExited extends Error {
  override readonly name = "WorkerExited";
  readonly code = "WEBSOCK_WORKER_EXITED";

  constructor(message: string, options?: ErrorOptions) {
    super(withCode("WEBSOCK_WORKER_EXITED", message), options);
  }
}

/**
 * No worker was available when the connection was opened: those that ended have not been replaced yet, or the pool is
 * closed. The connection was closed with 1013, so that the client tries again later. It is not reported to `onError`,
 * but counted in `stats.refused`.
 *
 * ```ts
 * const isRefused = (reason: CloseReason) => typeof reason === "object" && reason.error instanceof NoWorker;
 * ```
 *
 * @see https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
 */
export class NoWorker extends Error {
  override readonly name = "NoWorker";
  readonly code = "WEBSOCK_NO_WORKER";

  constructor(message: string) {
    super(withCode("WEBSOCK_NO_WORKER", message));
  }
}
