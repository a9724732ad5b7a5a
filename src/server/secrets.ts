/** Keys of a server: made with its data folder, unless the operator gives them. */
import { Buffer } from "node:buffer";
import { makeAdminKey } from "../auth/admin_key.ts";
import type { CommitterClient } from "../committer/protocol.ts";
import { type InstanceRecord, recordKeys } from "../deploy/deployment.ts";
import type { Environment } from "../environment.ts";
import { loadAdminKey, saveAdminKey } from "../persistence/admin_key_file.ts";
import { getEncryptionKey, makeEncryptionKey } from "../persistence/encryption_key_file.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";

export const defaultInstanceName = "hull";

export function chooseAdminKey(
  environment: Environment,
  dataFolder: string,
  given: string | undefined,
): string {
  if (given === undefined) {
    const make = () => makeAdminKey(defaultInstanceName, environment.randomBytes(32));
    return loadAdminKey(dataFolder, make);
  }
  saveAdminKey(dataFolder, given);
  return given;
}

/** The one to use first; then one that variables may still be encrypted under. */
export function encryptionKeys(
  environment: Environment,
  dataFolder: string,
  given?: string,
): [string, ...string[]] {
  const kept = getEncryptionKey(dataFolder);
  if (given !== undefined) return kept === undefined ? [given] : [given, kept];
  return [kept ?? makeEncryptionKey(dataFolder, environment.randomBytes(32))];
}

/** Made once, with the database, so that URLs of files stay what they are, and handles of functions. */
export async function loadFileStorageSecret(
  environment: Environment,
  reader: SnapshotReader,
  committer: CommitterClient,
): Promise<string> {
  const stored = reader.getRecord(recordKeys.instance);
  if (stored !== undefined) return (JSON.parse(stored) as InstanceRecord).fileStorageSecret;
  const fileStorageSecret = Buffer.from(environment.randomBytes(32)).toString("hex");
  const json = JSON.stringify({ fileStorageSecret } satisfies InstanceRecord);
  await committer.changeCatalog({ records: [{ key: recordKeys.instance, json }] });
  return fileStorageSecret;
}
