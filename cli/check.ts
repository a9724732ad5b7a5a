/** `hull check`: whether the data folder of a stopped server is sound. */
import { checkDataFolder } from "../src/maintenance/check.ts";
import { clearLine, withProgress } from "./terminal.ts";

/** A damaged folder can have as many problems as documents. */
const shownMax = 100;

export async function check(dataFolder: string): Promise<number> {
  let count = 0;
  await withProgress("Reading everything", () =>
    checkDataFolder(dataFolder, (problem) => {
      if (count++ >= shownMax) return;
      clearLine(Deno.stderr);
      console.log(problem);
    }));
  if (count === 0) {
    console.log(`${dataFolder} is sound.`);
    return 0;
  }
  if (count > shownMax) console.log(`… and ${count - shownMax} more.`);
  console.error(`${dataFolder} has ${count === 1 ? "1 problem" : `${count} problems`}.`);
  return 1;
}
