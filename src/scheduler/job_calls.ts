/** What calls of scheduled functions and of cron jobs have in common. */
import { RequestError } from "../errors.ts";

/** Error of an action of which nobody knows how far it came (semantics 13.2). */
export const interrupted = "Transient error while executing action";

/** Error of a job whose function has become a query. */
export const unsupportedKind = "Unsupported function type. Queries cannot be scheduled.";

/** Whether an action was refused before anything of it ran. */
export function neverStarted(error: unknown): boolean {
  return error instanceof RequestError &&
    (error.kind === "rateLimited" || error.kind === "overloaded");
}
