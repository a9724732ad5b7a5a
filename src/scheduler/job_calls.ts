/** What calls of scheduled functions and of cron jobs have in common. */
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";

/** Error of an action of which nobody knows how far it came (semantics 13.2). */
export const interrupted = "Transient error while executing action";

/** Error of a job whose function has become a query. */
export const unsupportedKind = "Unsupported function type. Queries cannot be scheduled.";

const persistenceBackOff = { firstMs: 500, maxMs: 60_000 };

/**
 * Repeats `work` while the server refuses it, as on a full disk: nobody else would note how an action ended, which
 * does not run again.
 */
export async function persistently(
  environment: Environment,
  work: () => Promise<void>,
): Promise<void> {
  const { firstMs, maxMs } = persistenceBackOff;
  for (let delayMs = firstMs;; delayMs = Math.min(2 * delayMs, maxMs)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
    }
    await new Promise<void>((resolve) => environment.setTimer(delayMs, resolve));
  }
}

/** Whether an action was refused before anything of it ran. */
export function neverStarted(error: unknown): boolean {
  return error instanceof RequestError &&
    (error.kind === "rateLimited" || error.kind === "overloaded");
}
