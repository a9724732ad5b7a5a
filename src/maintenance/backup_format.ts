/**
 * What a backup is: a tar archive with, in this order,
 *
 *     hull-backup.json     who wrote it, when, and in which layout (`BackupHeader`)
 *     modules/NAME         code of the deployment
 *     files/UUID           stored files
 *     hull.sqlite3         the database
 *     SHA256SUMS           the digest of each entry above, as `sha256sum --check` reads it
 *
 * Tar because it is written and read in one pass without knowing what comes, and because every system has a
 * program for it. What comes last proves that nothing is missing.
 */
import { createHash, type Hash } from "node:crypto";
import { z } from "zod";
import { layoutVersion } from "../persistence/migrations.ts";
import { ByteReader } from "./byte_reader.ts";
import { readTar, tarEnd, type TarEntry, tarHeader, tarPadding } from "./tar.ts";

const formatVersion = 1;
const headerName = "hull-backup.json";
const checksumsName = "SHA256SUMS";
export const databaseName = "hull.sqlite3";
const textBytesMax = 256 * 1024 * 1024;
/** Nothing else may be in a backup, so none can write outside its folder. */
const namePattern = /^(hull\.sqlite3|(modules|files)\/[\w-][\w.-]*)$/;

const headerType = z.object({
  format: z.number().int(),
  /** Version of Hull that wrote it. */
  hull: z.string(),
  layout: z.number().int(),
  /** Microseconds since the epoch: the newest commit in it. */
  timestamp: z.number(),
});
export type BackupHeader = Omit<z.infer<typeof headerType>, "format">;

/** One file that goes into a backup. */
export interface BackupFile {
  readonly name: string;
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** A backup that cannot be restored; the message says why. */
export class BackupError extends Error {
  override name = "BackupError";
}

/** The bytes of a backup. */
export async function* writeBackup(
  header: BackupHeader,
  files: AsyncIterable<BackupFile>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const modifiedMs = header.timestamp / 1000;
  let checksums = "";
  const add = async function* ({ name, size, chunks }: BackupFile) {
    const digest = createHash("sha256");
    yield tarHeader(name, size, modifiedMs);
    let left = size;
    for await (const chunk of chunks) {
      digest.update(chunk);
      left -= chunk.length;
      yield chunk as Uint8Array<ArrayBuffer>;
    }
    if (left !== 0) throw new Error(`${name} changed its size while it was being backed up`);
    yield tarPadding(size);
    checksums += checksumLine(digest, name);
  };
  yield* add(textFile(headerName, JSON.stringify({ format: formatVersion, ...header })));
  for await (const file of files) yield* add(file);
  yield* add(textFile(checksumsName, checksums));
  yield tarEnd();
}

/**
 * Reads a backup to its end and hands each of its files to `keep`, which must read it.
 * @throws BackupError when it is damaged, incomplete or newer than this Hull; only at its end is that known.
 */
export async function readBackup(
  source: AsyncIterable<Uint8Array>,
  keep: (entry: TarEntry) => Promise<void>,
): Promise<BackupHeader> {
  const reader = new ByteReader(source);
  try {
    return await readEntries(readTar(reader), keep);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new BackupError(
      `The backup cannot be used: it ${error.message}. Choose another backup.`,
      { cause: error },
    );
  } finally {
    await reader.close();
  }
}

async function readEntries(
  entries: AsyncGenerator<TarEntry>,
  keep: (entry: TarEntry) => Promise<void>,
): Promise<BackupHeader> {
  const first = await entries.next();
  if (first.done || first.value.name !== headerName) throw new SyntaxError("is no backup of Hull");
  const digest = createHash("sha256");
  const header = parseHeader(await readText(first.value, digest));
  let checksums = checksumLine(digest, headerName);
  let hasDatabase = false;
  for await (const entry of entries) {
    if (entry.name === checksumsName) {
      const expected = await readText(entry, createHash("sha256"));
      if (expected !== checksums) throw new SyntaxError("is damaged: its checksums do not match");
      if (!hasDatabase) throw new SyntaxError("has no database in it");
      return header;
    }
    if (!namePattern.test(entry.name)) {
      throw new SyntaxError(`has a file ${entry.name}, which is none`);
    }
    const digest = createHash("sha256");
    await keep({ ...entry, body: digesting(entry.body, digest) });
    hasDatabase ||= entry.name === databaseName;
    checksums += checksumLine(digest, entry.name);
  }
  throw new SyntaxError("ends too early");
}

function parseHeader(text: string): BackupHeader {
  const { success, data } = headerType.safeParse(JSON.parse(text));
  if (!success) throw new SyntaxError("is damaged: its first entry is not what it must be");
  const { format, ...header } = data;
  if (format > formatVersion || header.layout > layoutVersion) {
    throw new BackupError(
      `The backup was written by a newer version of Hull (${header.hull}). ` +
        "Restore it with that version or a newer one.",
    );
  }
  return header;
}

async function* digesting(
  chunks: AsyncIterable<Uint8Array>,
  digest: Hash,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    digest.update(chunk);
    yield chunk;
  }
}

async function readText({ size, body }: TarEntry, digest: Hash): Promise<string> {
  if (size > textBytesMax) throw new SyntaxError("is damaged");
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of digesting(body, digest)) {
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function textFile(name: string, text: string): BackupFile {
  const bytes = new TextEncoder().encode(text);
  return { name, size: bytes.length, chunks: ReadableStream.from([bytes]) };
}

function checksumLine(digest: Hash, name: string): string {
  return `${digest.digest("hex")}  ${name}\n`;
}
