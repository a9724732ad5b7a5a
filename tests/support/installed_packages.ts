/** The npm packages of a fixture, installed from its lock file and kept for the next run. */
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const files = [".npmrc", "package.json", "package-lock.json"];

/** Resolves with the folder `node_modules`, one for each content of the fixture's lock file. */
export async function installedPackages(fixture = "tests/fixtures/packages"): Promise<string> {
  const lock = await Deno.readFile(`${root}${fixture}/package-lock.json`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", lock)).toHex();
  const folder = `${root}.hull/test-packages/${digest.slice(0, 16)}`;
  if (await exists(folder)) return `${folder}/node_modules`;
  // Under another name until it is complete, for whoever else looks for it or is interrupted.
  await Deno.mkdir(`${root}.hull/test-packages`, { recursive: true });
  const unfinished = await Deno.makeTempDir({ dir: `${root}.hull/test-packages` });
  for (const file of files) {
    await Deno.copyFile(`${root}${fixture}/${file}`, `${unfinished}/${file}`);
  }
  const npm = new Deno.Command("npm", { args: ["ci", "--prefer-offline"], cwd: unfinished });
  const { success, stderr } = await npm.output();
  if (!success) {
    await Deno.remove(unfinished, { recursive: true });
    throw new Error(`npm ci failed:\n${new TextDecoder().decode(stderr)}`);
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
