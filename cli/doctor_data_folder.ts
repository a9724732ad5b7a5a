/** Whether a data folder can be used: rights, space, who has it, what is left over in it. */
import { statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { errorMessage } from "../src/errors.ts";
import { databaseCopyPath, databasePath, lockDataFolder } from "../src/persistence/data_folder.ts";
import { PersistenceError } from "../src/persistence/persistence_error.ts";
import { type Findings, ok, problem, warning } from "./finding.ts";
import { readServerUrl } from "./server_url_file.ts";
import { formatBytes } from "./terminal.ts";

const subject = "Data folder";
/** Below this, a backup or a push soon has no room. */
const freeBytesWanted = 1e9;
/** Kinds of file systems over a network, as Linux numbers them: NFS, SMB, CIFS, SMB2, 9P, AFS. */
const networkFileSystems = new Set([
  0x6969,
  0x517b,
  0xff534d42,
  0xfe534d42,
  0x01021997,
  0x5346414f,
]);

export async function* examineDataFolder(dataFolder: string): Findings {
  const path = resolve(dataFolder);
  const isThere = await isDirectory(path);
  if (isThere === undefined) {
    yield problem(subject, `${path} is no folder`, "Choose another one with --data.");
    return;
  }
  yield* examineDisk(isThere ? path : await nearestFolder(path));
  if (!isThere) {
    yield ok(subject, `${path} is made by the first start`);
    return;
  }
  const writable = await canWrite(path);
  if (writable !== null) {
    yield problem(
      subject,
      `${path} cannot be written: ${writable}`,
      `Give it to the user that runs Hull (chown -R USER ${path}), or choose another one with --data.`,
    );
    return;
  }
  yield* examineUse(path);
}

async function* examineDisk(folder: string): Findings {
  const { bavail, bsize, type } = await statfs(folder);
  const free = bavail * bsize;
  if (free < freeBytesWanted) {
    yield problem(
      "Disk",
      `${formatBytes(free)} are free where ${folder} lies`,
      "Make room: writes fail when the disk is full, and a backup needs a second copy of the database.",
    );
  } else {
    yield ok("Disk", `${formatBytes(free)} free`);
  }
  if (Deno.build.os === "linux" && networkFileSystems.has(type)) {
    yield warning(
      "Disk",
      `${folder} lies on a file system of the network`,
      "Use a local disk: SQLite's write-ahead log does not work over a network.",
    );
  }
}

/** Takes the lock for a moment where there is no server. */
async function* examineUse(path: string): Findings {
  if (!await exists(databasePath(path))) {
    yield ok(subject, `${path} holds no server's data yet`);
    return;
  }
  let lock: { close(): void };
  try {
    lock = lockDataFolder(path);
  } catch (error) {
    if (!(error instanceof PersistenceError) || error.code !== "InUse") {
      yield problem(subject, errorMessage(error));
      return;
    }
    const url = await readServerUrl(path);
    if (url !== undefined) {
      yield ok(subject, `${path} is used by the server at ${url}`);
    } else {
      yield warning(subject, error.message, "If it is just starting, wait a moment.");
    }
    return;
  }
  try {
    yield ok(subject, `${path} is used by no server now`);
    yield* examineLeftovers(path);
  } finally {
    lock.close();
  }
}

async function* examineLeftovers(path: string): Findings {
  if (await readServerUrl(path) !== undefined) {
    yield warning(
      subject,
      "its last server did not stop in good order",
      "Nothing that was acknowledged is lost; the next start recovers. `hull check` reads everything.",
    );
  }
  const leftovers = [databaseCopyPath(databasePath(path)), join(path, "encryption_key.unfinished")];
  for (const file of leftovers) {
    if (!await exists(file)) continue;
    yield warning(subject, `${file} is left over from something that broke off`, "Delete it.");
  }
}

/** Null if so, else why not. */
async function canWrite(folder: string): Promise<string | null> {
  try {
    const file = await Deno.makeTempFile({ dir: folder, prefix: ".doctor-" });
    await Deno.remove(file);
    return null;
  } catch (error) {
    return errorMessage(error);
  }
}

/** Undefined for what is no folder. */
async function isDirectory(path: string): Promise<boolean | undefined> {
  try {
    return (await Deno.stat(path)).isDirectory || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    if (error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** The nearest folder above that is there. */
async function nearestFolder(path: string): Promise<string> {
  const parent = dirname(path);
  return await exists(parent) || parent === path ? parent : await nearestFolder(parent);
}
