/** `hull import`: documents from a file (deploy-protocol 10). */
import { extname } from "node:path";
import type { ApiClient } from "./api_client.ts";
import { UsageError } from "./failure.ts";
import { formatBytes, Progress, styler } from "./terminal.ts";

const importFormats = ["csv", "jsonLines", "jsonArray", "zip"] as const;
type ImportFormat = (typeof importFormats)[number];

export interface ImportOptions {
  /** Path of a component, in place of the app. */
  readonly component?: string;
  readonly table?: string;
  readonly format?: ImportFormat;
  readonly append?: boolean;
  readonly replace?: boolean;
  readonly replaceAll?: boolean;
  readonly yes?: boolean;
}

/** An import as `_system/cli/queryImport` describes it; the server's words. */
interface ImportState {
  readonly state:
    | { readonly state: "uploaded" }
    | {
      readonly state: "waiting_for_confirmation";
      readonly message_to_confirm: string;
      readonly require_manual_confirmation: boolean;
    }
    | {
      readonly state: "in_progress";
      readonly progress_message: string;
      readonly checkpoint_messages: readonly string[];
    }
    | { readonly state: "completed"; readonly num_rows_written: unknown }
    | { readonly state: "failed"; readonly error_message: string };
}

const formatOfExtension: Readonly<Record<string, ImportFormat>> = {
  ".csv": "csv",
  ".jsonl": "jsonLines",
  ".json": "jsonArray",
  ".zip": "zip",
};
const partBytes = 5 * 1024 * 1024;
/** Between two looks at how far the server is, in milliseconds. */
const pollMs = 200;

export async function importData(
  client: ApiClient,
  path: string,
  options: ImportOptions,
): Promise<number> {
  const target = importTarget(path, options);
  const importId = await uploadFile(client, path, target);
  await untilReady(client, importId, options.yes ?? false);
  await client.post("/api/perform_import", { importId });
  await untilDone(client, importId);
  return 0;
}

/** What the file is, and where it goes, as the server wants to know it. */
export function importTarget(path: string, options: ImportOptions) {
  const format = options.format ?? formatOfExtension[extname(path).toLowerCase()];
  if (format === undefined) {
    throw new UsageError(
      `What ${path} holds is unknown. Say it: --format ${importFormats.join("|")}.`,
    );
  }
  if (format === "zip" && options.table !== undefined) {
    throw new UsageError("A ZIP file names its tables itself. Leave --table out.");
  }
  if (format !== "zip" && options.table === undefined) {
    throw new UsageError(`Name the table that ${path} goes into: --table NAME.`);
  }
  const modes = [
    ...options.append ? ["append"] : [],
    ...options.replace ? ["replace"] : [],
    ...options.replaceAll ? ["replaceAll"] : [],
  ];
  if (modes.length > 1) {
    throw new UsageError("Give only one of --append, --replace and --replace-all.");
  }
  const { table, component } = options;
  return {
    format,
    mode: modes[0] ?? "requireEmpty",
    ...table !== undefined && { tableName: table },
    ...component !== undefined && { componentPath: component },
  };
}

async function uploadFile(
  client: ApiClient,
  path: string,
  target: ReturnType<typeof importTarget>,
): Promise<string> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  using progress = new Progress("Uploading", formatBytes);
  const { uploadToken } = await client.post("/api/import/start_upload", {}) as {
    uploadToken: string;
  };
  const partTokens: unknown[] = [];
  const token = encodeURIComponent(uploadToken);
  let done = 0;
  for await (const part of parts(file.readable)) {
    const number = partTokens.length + 1;
    const address = `/api/import/upload_part?uploadToken=${token}&partNumber=${number}`;
    partTokens.push(await client.upload(address, number === 1 ? withoutMark(part) : part));
    progress.update(done += part.length, size);
  }
  const body = { import: target, uploadToken, partTokens };
  const { importId } = await client.post("/api/import/finish_upload", body) as { importId: string };
  return importId;
}

/** The bytes of a file in parts of one size; the last one is shorter. */
async function* parts(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let part = new Uint8Array(partBytes);
  let length = 0;
  for await (let chunk of chunks) {
    while (chunk.length > 0) {
      const taken = chunk.subarray(0, partBytes - length);
      part.set(taken, length);
      length += taken.length;
      chunk = chunk.subarray(taken.length);
      if (length < partBytes) continue;
      yield part;
      part = new Uint8Array(partBytes);
      length = 0;
    }
  }
  if (length > 0) yield part.subarray(0, length);
}

/** Without the mark with which some editors begin UTF-8. */
function withoutMark(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** Resolves when the server has read everything and whoever is asked has agreed. */
async function untilReady(client: ApiClient, importId: string, agrees: boolean): Promise<void> {
  using progress = new Progress("Reading the file");
  for (;;) {
    const { state } = await load(client, importId);
    if (state.state === "failed") throw failure(state.error_message);
    if (state.state === "waiting_for_confirmation") {
      progress[Symbol.dispose]();
      console.error(state.message_to_confirm.replaceAll("npx convex", "hull"));
      if (agrees || !state.require_manual_confirmation) return;
      if (Deno.stdin.isTerminal() && confirm("Import?")) return;
      await client.post("/api/cancel_import", { importId });
      throw new Error("Nothing was imported. --yes imports without asking.");
    }
    if (state.state !== "uploaded") return;
    await pause();
  }
}

async function untilDone(client: ApiClient, importId: string): Promise<void> {
  using _progress = new Progress("Importing");
  let shown = 0;
  for (;;) {
    const { state } = await load(client, importId);
    if (state.state === "failed") throw failure(state.error_message);
    if (state.state === "completed") {
      const count = decodeCount(state.num_rows_written);
      console.log(
        `${styler(Deno.stdout)("green", "✔")} Imported ${count} document${count === 1 ? "" : "s"}.`,
      );
      return;
    }
    if (state.state === "in_progress") {
      for (const message of state.checkpoint_messages.slice(shown)) console.error(message);
      shown = state.checkpoint_messages.length;
    }
    await pause();
  }
}

function failure(message: string): Error {
  return new Error(`Nothing was imported.\n${message}`);
}

async function load(client: ApiClient, importId: string): Promise<ImportState> {
  return await client.query("_system/cli/queryImport:default", { importId }) as ImportState;
}

/** An int64: eight bytes, the lowest first, in base64. */
function decodeCount(value: unknown): number {
  const { $integer } = value as { readonly $integer: string };
  const bytes = Uint8Array.fromBase64($integer);
  return Number(new DataView(bytes.buffer).getBigInt64(0, true));
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pollMs));
}
