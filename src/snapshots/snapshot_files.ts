/** Writing and removing the files of exports and imports. */
import { join } from "node:path";
import { onDisk } from "../persistence/on_disk.ts";

/** Where the parts of files lie that are to be imported. */
export function uploadsFolder(dataFolder: string): string {
  return join(dataFolder, "imports", "uploads");
}

/** Appends to a file, created if there is none; on return the bytes survive a crash. */
export async function appendTo(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  using file = await Deno.open(path, { append: true, create: true });
  for await (const chunk of chunks) await onDisk(path, () => writeAll(file, chunk));
  await onDisk(path, () => file.sync());
}

export async function writeAll(file: Deno.FsFile, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.byteLength;) {
    written += await file.write(chunk.subarray(written));
  }
}

/** A file or a folder with all that is in it. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
