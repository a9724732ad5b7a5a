/** The thread that copies a database; see database_copy.ts. */
import { errorMessage } from "../errors.ts";
import { Database } from "./sqlite.ts";

export interface DatabaseCopyStart {
  readonly from: string;
  readonly to: string;
}

export interface DatabaseCopied {
  /** What SQLite said when it could not. */
  readonly error: string | null;
}

interface WorkerScope {
  onmessage: (event: MessageEvent<DatabaseCopyStart>) => void;
  postMessage: (message: DatabaseCopied) => void;
}

/** For reading and writing alike: pages that are read once need no large cache. */
const cacheKiB = 2048;

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data: { from, to } }) => {
  try {
    const database = new Database(from, { readOnly: true, cacheKiB });
    try {
      database.prepare("VACUUM INTO ?").run(to);
    } finally {
      database.close();
    }
    scope.postMessage({ error: null });
  } catch (error) {
    scope.postMessage({ error: errorMessage(error) });
  }
};
