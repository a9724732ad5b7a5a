/**
 * Packs a program folder and Deno into one executable file that needs no base runtime: a shell script
 * (self_extracting.sh) followed by a compressed archive. For systems with a POSIX shell, gzip and tar.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { assert } from "../src/assert.ts";
import { tarEnd, tarHeader, tarPadding } from "../src/maintenance/tar.ts";
import { filesBelow } from "./program_folder.ts";
import type { Target } from "./targets.ts";

const scriptFile = fileURLToPath(new URL("./self_extracting.sh", import.meta.url));

/** The script is filled up to this length, so it can say where the archive begins. */
const scriptBytes = 8192;

/** Levels 7 to 9 take twice as long as 6 for a hundredth less. */
const compressionLevel = 6;

export interface SelfExtracting {
  /** The program folder. */
  readonly folder: string;
  /** Path of Deno for the target. */
  readonly deno: string;
  readonly target: Target;
  readonly targetName: string;
  readonly version: string;
}

/** Writes the executable to `output`. The same input makes the same bytes. */
export async function writeSelfExtracting(output: string, options: SelfExtracting): Promise<void> {
  const archive = await packArchive(options.folder, options.deno);
  const payload = gzipSync(archive, { level: compressionLevel });
  const script = await fillScript(options, payload, archive.length);
  await Deno.writeFile(output, script, { mode: 0o755 });
  await Deno.writeFile(output, payload, { append: true });
}

/** `deno`, and the program folder as `app/`. */
async function packArchive(folder: string, deno: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const add = async (name: string, path: string) => {
    const bytes = await Deno.readFile(path);
    pieces.push(tarHeader(name, bytes.length, 0), bytes, tarPadding(bytes.length));
  };
  await add("deno", deno);
  for (const path of await filesBelow(folder)) await add(`app/${path}`, join(folder, path));
  return Buffer.concat([...pieces, tarEnd()]);
}

async function fillScript(
  { target, targetName, version }: SelfExtracting,
  payload: Uint8Array,
  archiveBytes: number,
): Promise<Uint8Array> {
  const digest = createHash("sha256").update(payload).digest("hex");
  const values: Record<string, string> = {
    VERSION: version,
    TARGET: targetName,
    OS: target.os,
    ID: `${version}-${digest.slice(0, 16)}`,
    UNAME: unamePatterns[targetName]!,
    LIBC: target.os === "darwin"
      ? "macOS 11 or newer"
      : "glibc 2.27 or newer, 2.34 for vector search",
    MIB: String(Math.ceil(archiveBytes / 1024 ** 2)),
    OFFSET: String(scriptBytes + 1),
  };
  const template = await Deno.readTextFile(scriptFile);
  const script = template.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => values[name]!);
  const bytes = new TextEncoder().encode(script);
  assert(bytes.length <= scriptBytes, "the script has room for what goes into it");
  const padded = new Uint8Array(scriptBytes).fill("\n".charCodeAt(0));
  padded.set(bytes);
  return padded;
}

/** Of what `uname -sm` prints, by target; as patterns of a shell's `case`. */
const unamePatterns: Readonly<Record<string, string>> = {
  "linux-x64": "'Linux x86_64'",
  "linux-arm64": "'Linux aarch64' | 'Linux arm64'",
  "macos-x64": "'Darwin x86_64'",
  "macos-arm64": "'Darwin arm64'",
};
