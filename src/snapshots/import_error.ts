import { RequestError } from "../errors.ts";

/** Something that is wrong with what is imported, or with how. `source`: the file and line, if it is one's. */
export function importError(code: string, message: string, source?: string): RequestError {
  return new RequestError("badRequest", code, source ? `${source}: ${message}` : message);
}

/** Runs `work` and says of its errors where in the import they belong. */
export function at<T>(source: string, code: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw importError(code, error instanceof Error ? error.message : String(error), source);
  }
}
