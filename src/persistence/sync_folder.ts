import { join } from "node:path";

/**
 * Makes the names in a folder durable. A file that is flushed can still be lost with its new name when the machine
 * fails, until its folder is flushed, too. Windows has no handles of folders, and no need of this.
 */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}

/** Makes all files and folders in a folder durable: side by side, so that the disk does many with one flush. */
export async function syncTree(path: string): Promise<void> {
  const work: Promise<void>[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(path)) {
    const entry = join(path, name);
    if (isDirectory) await syncTree(entry);
    if (isFile) work.push(syncFile(entry));
  }
  await Promise.all(work);
  await syncFolder(path);
}

async function syncFile(path: string): Promise<void> {
  // Windows flushes only what could be written.
  using file = await Deno.open(path, { read: true, write: Deno.build.os === "windows" });
  await file.syncData();
}

/** `syncFolder` for those that may hold up their thread. */
export function syncFolderSync(path: string): void {
  if (Deno.build.os === "windows") return;
  using folder = Deno.openSync(path);
  folder.syncSync();
}
