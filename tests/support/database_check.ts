/** The consistency checks that end every test which opened a database: those of `hull check`. */
import assert from "node:assert/strict";
import { checkDataFolder } from "../../src/maintenance/check.ts";
import { databasePath } from "../../src/persistence/data_folder.ts";
import { checkDatabase as findProblems } from "../../src/persistence/database_check.ts";

/** Fails if the database contradicts itself. Call it when no server uses the folder. */
export function checkDatabase(dataFolder: string): void {
  const problems: string[] = [];
  findProblems(databasePath(dataFolder), (problem) => problems.push(problem));
  assert.deepEqual(problems, []);
}

/** Fails if anything in a stopped server's data folder is not as it should be. */
export async function checkSoundness(dataFolder: string): Promise<void> {
  const problems: string[] = [];
  await checkDataFolder(dataFolder, (problem) => problems.push(problem));
  assert.deepEqual(problems, []);
}
