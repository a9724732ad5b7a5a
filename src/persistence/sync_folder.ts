/**
 * Makes the names in a folder durable. A file that is flushed can still be lost with its new name when the machine
 * fails, until its folder is flushed, too. Windows has no handles of folders, and no need of this.
 */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}

/** `syncFolder` for those that may hold up their thread. */
export function syncFolderSync(path: string): void {
  if (Deno.build.os === "windows") return;
  using folder = Deno.openSync(path);
  folder.syncSync();
}
