/** Files that a command makes: complete under their name, or not there. */
import { basename, dirname, join } from "node:path";
import { syncFolder } from "../src/persistence/sync_folder.ts";
import { formatBytes, Progress } from "./terminal.ts";

export interface NewFileOptions {
  /** Beside the progress bar. */
  readonly label: string;
  /** In bytes, if it is known. */
  readonly length?: number;
  /** Looks at the complete file before it gets its name; throws when it is not right. */
  readonly verify?: (path: string) => Promise<void>;
}

/** @throws Error when there is something of that name: nothing is overwritten. */
export async function mustBeNew(path: string): Promise<void> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new Error(`${path} exists. Choose another name, so that no file is overwritten.`);
}

/** Resolves with the size of the file, in bytes, when it is on disk under its name. */
export async function writeNewFile(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  { label, length, verify }: NewFileOptions,
): Promise<number> {
  const unfinished = join(dirname(path), `.${basename(path)}.unfinished`);
  try {
    using progress = new Progress(label, formatBytes);
    const bytes = await write(chunks, unfinished, (done) => progress.update(done, length));
    await verify?.(unfinished);
    await Deno.rename(unfinished, path);
    await syncFolder(dirname(path));
    return bytes;
  } catch (error) {
    await Deno.remove(unfinished).catch(() => {/* It may not have come to that. */});
    throw error;
  }
}

async function write(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
  onProgress: (bytes: number) => void,
): Promise<number> {
  // Whoever may read it may read all data.
  using file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
  let bytes = 0;
  for await (const chunk of chunks) {
    for (let written = 0; written < chunk.length;) {
      written += await file.write(chunk.subarray(written));
    }
    onProgress(bytes += chunk.length);
  }
  await file.sync();
  return bytes;
}
