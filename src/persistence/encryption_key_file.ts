/**
 * The file `encryption_key` in the data folder: the secret under which environment variables are encrypted in the
 * database, unless the operator keeps one elsewhere. It is part of no backup.
 */
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { PersistenceError, persistenceError } from "./persistence_error.ts";
import { syncFolderSync } from "./sync_folder.ts";

export function encryptionKeyPath(dataFolder: string): string {
  return join(dataFolder, "encryption_key");
}

/** The key in the file; undefined when there is none. @throws PersistenceError when it cannot be read or is empty. */
export function getEncryptionKey(dataFolder: string): string | undefined {
  const path = encryptionKeyPath(dataFolder);
  let key: string;
  try {
    key = Deno.readTextFileSync(path).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw persistenceError("read", path, error);
  }
  if (key !== "") return key;
  throw new PersistenceError(
    "Corrupt",
    `${path} is empty. Put the key back that was in it, or remove the file if there was none.`,
  );
}

/**
 * Makes a key and writes it, readable for its owner alone. On return it is on disk: what is encrypted under a key
 * that a crash takes away is lost.
 * @throws PersistenceError when the file cannot be written.
 */
export function makeEncryptionKey(dataFolder: string, randomBytes: Uint8Array): string {
  const path = encryptionKeyPath(dataFolder);
  const unfinished = `${path}.unfinished`;
  const key = Buffer.from(randomBytes).toString("base64url");
  try {
    {
      const options = { write: true, create: true, truncate: true, mode: 0o600 };
      using file = Deno.openSync(unfinished, options);
      file.writeSync(new TextEncoder().encode(`${key}\n`));
      file.syncSync();
    }
    Deno.renameSync(unfinished, path);
    syncFolderSync(dataFolder);
  } catch (error) {
    throw persistenceError("write", path, error);
  }
  return key;
}
