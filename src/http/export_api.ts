/** Exports of the data as ZIP files, for administrators (deploy-protocol 9). */
import { z } from "zod";
import type { ApiRequest } from "./api_request.ts";
import { parseJsonBody } from "./json_body.ts";
import type { ApiHandlers } from "./routes.ts";

/** `SnapshotExports` of src/snapshots/ is the implementation. */
export interface Exports {
  /** Resolves when the request is on disk. */
  request(includeStorage: boolean): Promise<void>;
  /** `name`: id or timestamp. */
  open(name: string): Promise<{
    readonly fileName: string;
    readonly size: number;
    readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  }>;
  cancel(id: string): Promise<void>;
  setExpiration(id: string, expirationTs: bigint): Promise<void>;
}

const expirationBody = z.object({ expirationTsNs: z.union([z.int(), z.string().regex(/^\d+$/)]) });

export function exportApi(exports: Exports) {
  return {
    async requestExport(request) {
      await request.requireAdmin();
      await exports.request(request.parameter("includeStorage") === "true");
      return new Response(null);
    },

    async downloadExport(request) {
      await request.requireAdmin();
      const { fileName, size, body } = await exports.open(lastSegment(request));
      const headers = {
        "content-type": "application/zip",
        "content-length": String(size),
        // The command line takes all that follows for the name.
        "content-disposition": `attachment; filename=${fileName}`,
        "cache-control": "private, no-store",
      };
      if (request.raw.method !== "HEAD") return new Response(body, { headers });
      await body.cancel();
      return new Response(null, { headers });
    },

    async cancelExport(request) {
      await request.requireAdmin();
      await exports.cancel(lastSegment(request));
      return new Response(null);
    },

    async setExportExpiration(request) {
      await request.requireAdmin();
      const { expirationTsNs } = await parseJsonBody(expirationBody, request);
      await exports.setExpiration(lastSegment(request), BigInt(expirationTsNs));
      return new Response(null);
    },
  } satisfies Partial<ApiHandlers>;
}

function lastSegment({ path }: ApiRequest): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
