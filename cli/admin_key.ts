/** `hull admin-key`: what opens the admin API of a server whose data folder is on this machine. */
import { join } from "node:path";

export async function adminKey(dataFolder: string): Promise<number> {
  const file = join(dataFolder, "admin_key");
  try {
    console.log((await Deno.readTextFile(file)).trim());
    return 0;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Error(
      `There is no server's data in ${dataFolder}. Start one with \`hull serve --data ${dataFolder}\`, or name its folder with --data.`,
      { cause },
    );
  }
}
