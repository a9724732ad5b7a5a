/** The file `admin_key` in the data folder, from which commands on the same machine read the key. */
import { join } from "node:path";
import { persistenceError } from "./persistence_error.ts";

/**
 * The key in the file; without one a new key is made and written, readable for its owner alone.
 * @throws PersistenceError when the file can be neither read nor written.
 */
export function loadAdminKey(dataFolder: string, make: () => string): string {
  const path = join(dataFolder, "admin_key");
  try {
    return Deno.readTextFileSync(path).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw persistenceError("read", path, error);
  }
  const key = make();
  saveAdminKey(dataFolder, key);
  return key;
}

/** Writes the key that an operator has chosen, so that commands on this machine find it. */
export function saveAdminKey(dataFolder: string, key: string): void {
  const path = join(dataFolder, "admin_key");
  try {
    Deno.writeTextFileSync(path, `${key}\n`, { mode: 0o600 });
  } catch (error) {
    throw persistenceError("write", path, error);
  }
}
