import { RequestError } from "../errors.ts";
import { persistenceError } from "./persistence_error.ts";

/**
 * Does the `work` of writing a file at `path` for a request.
 * @throws RequestError for a full disk, which is not the fault of the server.
 */
export async function onDisk(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code, message } = persistenceError("write", path, error);
    if (code !== "DiskFull") throw error;
    throw new RequestError("overloaded", code, message, { cause: error });
  }
}
