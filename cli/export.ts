/** `hull export`: all documents, and files, as a ZIP file in Convex's layout (deploy-protocol 9). */
import { basename, join } from "node:path";
import type { ApiClient } from "./api_client.ts";
import { mustBeNew, writeNewFile } from "./new_file.ts";
import { formatBytes, Progress } from "./terminal.ts";

/** An export as `_system/cli/exports:getLatest` describes it. */
interface ExportState {
  readonly _id: string;
  readonly state: "requested" | "in_progress" | "completed" | "failed" | "canceled";
}

/** Between two looks at how far the server is, in milliseconds. */
const pollMs = 200;

/** `path`: the new file, or a folder in which the server chooses its name. */
export async function exportData(
  client: ApiClient,
  path: string,
  { files: includesFiles }: { readonly files: boolean },
): Promise<number> {
  const isFolder = await Deno.stat(path).then((found) => found.isDirectory, () => false);
  if (!isFolder) await mustBeNew(path);
  const before = await latest(client);
  await client.post(`/api/export/request/zip?includeStorage=${includesFiles}`, {});
  const id = await untilComplete(client, before?._id);
  const { body, length, fileName } = await client.download(`/api/export/zip/${id}`);
  const file = isFolder ? join(path, basename(fileName ?? "export.zip")) : path;
  if (isFolder) await mustBeNew(file);
  const label = "Downloading the export";
  const bytes = await writeNewFile(file, body, { label, ...length !== undefined && { length } });
  console.log(
    `Wrote ${file}: ${formatBytes(bytes)}${includesFiles ? "" : ", without stored files"}.`,
  );
  return 0;
}

/** Resolves with the id of the first export that is newer than `before`. */
async function untilComplete(client: ApiClient, before: string | undefined): Promise<string> {
  using _progress = new Progress("Exporting");
  for (;;) {
    const found = await latest(client);
    if (found !== null && found._id !== before) {
      if (found.state === "completed") return found._id;
      if (found.state === "failed" || found.state === "canceled") {
        throw new Error(
          "The server could not make the export; its log says why. Nothing was written.",
        );
      }
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function latest(client: ApiClient): Promise<ExportState | null> {
  return await client.query("_system/cli/exports:getLatest", {}) as ExportState | null;
}
