/** Whether a stopped data folder is sound: its database, the code of its deployment and its stored files. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type BundledModule, hashModule } from "../deploy/bundled_module.ts";
import type { PushedModule } from "../deploy/deployment.ts";
import { errorMessage } from "../errors.ts";
import { databasePath } from "../persistence/data_folder.ts";
import { checkDatabase, type Report } from "../persistence/database_check.ts";
import { openSnapshotReader } from "../persistence/snapshot_reader.ts";
import { lockStopped } from "../persistence/stopped_folder.ts";
import { deployedModules, moduleFiles, type StoredFile, storedFiles } from "./data_folder_files.ts";

/**
 * Reads everything in the folder, changes nothing, and reports each thing that is wrong in a sentence.
 * @throws PersistenceError when there is no database that could be read, or a server uses it.
 */
export async function checkDataFolder(dataFolder: string, report: Report): Promise<void> {
  const lock = lockStopped(dataFolder);
  try {
    checkDatabase(databasePath(dataFolder), report);
    const reader = openSnapshotReader(databasePath(dataFolder));
    try {
      await checkModules(deployedModules(reader), dataFolder, report);
      for (const file of storedFiles(reader)) await checkFile(file, dataFolder, report);
    } finally {
      reader.close();
    }
  } finally {
    lock.close();
  }
}

async function checkModules(
  modules: readonly PushedModule[],
  dataFolder: string,
  report: Report,
): Promise<void> {
  for (const { path, hash, environment, sourceFile } of modules) {
    try {
      const text = await Deno.readTextFile(join(dataFolder, "modules", sourceFile));
      const pushed = JSON.parse(text) as Pick<BundledModule, "source" | "sourceMap">;
      if (hashModule({ ...pushed, path, environment }) === hash) continue;
      report(`Module ${path}: its file is not what was pushed. Push the app again.`);
    } catch (error) {
      report(
        `Module ${path}: its file cannot be read (${errorMessage(error)}). Push the app again.`,
      );
    }
  }
  for (const path of moduleFiles(modules)) {
    try {
      await Deno.stat(join(dataFolder, path));
    } catch {
      report(`The file ${path} of the deployment is missing. Push the app again.`);
    }
  }
}

async function checkFile(
  { id, path, size, sha256 }: StoredFile,
  dataFolder: string,
  report: Report,
): Promise<void> {
  const digest = createHash("sha256");
  let length = 0;
  try {
    const { readable } = await Deno.open(join(dataFolder, path));
    for await (const chunk of readable) {
      digest.update(chunk);
      length += chunk.length;
    }
  } catch (error) {
    return report(`Stored file ${id}: ${path} cannot be read (${errorMessage(error)}).`);
  }
  if (length !== size) report(`Stored file ${id}: ${path} has ${length} bytes instead of ${size}.`);
  else if (digest.digest("base64") !== sha256) {
    report(`Stored file ${id}: the content of ${path} is not what was stored.`);
  }
}
