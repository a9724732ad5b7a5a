/** The npm packages of a fixture, installed once and kept for the next run. */
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What npm needs, and the command for it: an example for users has no lock file. */
const locked = { files: [".npmrc", "package.json", "package-lock.json"], command: ["ci"] };
const unlocked = { files: ["package.json"], command: ["install", "--no-package-lock"] };

/** Resolves with the folder `node_modules`, one for each content of the fixture's lock file, or of its package.json. */
export async function installedPackages(fixture = "tests/fixtures/packages"): Promise<string> {
  const hasLock = await exists(`${root}${fixture}/package-lock.json`);
  const { files, command } = hasLock ? locked : unlocked;
  const lock = await Deno.readFile(`${root}${fixture}/${files.at(-1)}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", lock)).toHex();
  const folder = `${root}.hull/test-packages/${digest.slice(0, 16)}`;
  if (await exists(folder)) return `${folder}/node_modules`;
  // Under another name until it is complete, for whoever else looks for it or is interrupted.
  await Deno.mkdir(`${root}.hull/test-packages`, { recursive: true });
  const unfinished = await Deno.makeTempDir({ dir: `${root}.hull/test-packages` });
  for (const file of files) {
    await Deno.copyFile(`${root}${fixture}/${file}`, `${unfinished}/${file}`);
  }
  const npm = new Deno.Command("npm", { args: [...command, "--prefer-offline"], cwd: unfinished });
  const { success, stderr } = await npm.output();
  if (!success) {
    await Deno.remove(unfinished, { recursive: true });
    throw new Error(`npm failed:\n${new TextDecoder().decode(stderr)}`);
  }
  await Deno.rename(unfinished, folder);
  return `${folder}/node_modules`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
