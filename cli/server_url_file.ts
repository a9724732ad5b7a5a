/**
 * The file `server_url` in the data folder: where the server that uses the folder listens, for commands on the same
 * machine. A server that was killed leaves it behind; who reads it finds nobody there, or the folder's next server.
 */
import { join } from "node:path";
import { readTextIfExists } from "../src/deploy/app_folder.ts";

const pathIn = (dataFolder: string) => join(dataFolder, "server_url");

export async function readServerUrl(dataFolder: string): Promise<string | undefined> {
  const url = (await readTextIfExists(pathIn(dataFolder)))?.trim();
  return url !== undefined && URL.canParse(url) ? url : undefined;
}

/** On disposal the file is gone again. */
export async function announceServerUrl(dataFolder: string, url: string): Promise<AsyncDisposable> {
  const path = pathIn(dataFolder);
  await Deno.writeTextFile(path, `${url}\n`);
  return {
    async [Symbol.asyncDispose]() {
      // The folder may have been deleted while the server ran.
      await Deno.remove(path).catch(() => {});
    },
  };
}
