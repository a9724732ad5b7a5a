/** Imports of data, for administrators: uploads in parts, and what is to be done with them (deploy-protocol 10). */
import { z } from "zod";
import type { ApiRequest } from "./api_request.ts";
import { mustBe, parseJsonBody } from "./json_body.ts";
import { json } from "./responses.ts";
import type { ApiHandlers } from "./routes.ts";

/** `SnapshotImports` of src/snapshots/ is the implementation. */
export interface Imports {
  startUpload(): Promise<string>;
  uploadPart(token: string, part: number, chunks: AsyncIterable<Uint8Array>): Promise<string>;
  finishUpload(token: string, parts: readonly string[], request: ImportRequest): Promise<string>;
  perform(id: string): Promise<void>;
  cancel(id: string): Promise<void>;
  /** Returns how many documents came in. */
  importNow(chunks: AsyncIterable<Uint8Array>, request: ImportRequest): Promise<number>;
}

const importRequest = z.object({
  tableName: z.string().optional(),
  mode: z.enum(["requireEmpty", "append", "replace", "replaceAll"]).default("requireEmpty"),
  format: z.enum(["csv", "jsonLines", "jsonArray", "zip"]),
  componentPath: z.string().optional(),
});
export type ImportRequest = z.infer<typeof importRequest>;

const finishBody = z.object({
  import: importRequest,
  uploadToken: z.string(),
  partTokens: z.array(z.string()),
});
const idBody = z.object({ importId: z.string() });

export function importApi(imports: Imports) {
  return {
    async startUpload(request) {
      await request.requireAdmin();
      return json({ uploadToken: await imports.startUpload() });
    },

    async uploadPart(request) {
      await request.requireAdmin();
      const token = request.parameter("uploadToken") ?? "";
      const part = Number(request.parameter("partNumber") ?? NaN);
      return json(await imports.uploadPart(token, part, bodyOf(request)));
    },

    async finishUpload(request) {
      await request.requireAdmin();
      const body = await parseJsonBody(finishBody, request);
      const importId = await imports.finishUpload(body.uploadToken, body.partTokens, body.import);
      return json({ importId });
    },

    async performImport(request) {
      await request.requireAdmin();
      const { importId } = await parseJsonBody(idBody, request);
      await imports.perform(importId);
      return new Response(null);
    },

    async cancelImport(request) {
      await request.requireAdmin();
      const { importId } = await parseJsonBody(idBody, request);
      await imports.cancel(importId);
      return new Response(null);
    },

    async importNow(request) {
      await request.requireAdmin();
      const parameters = Object.fromEntries(new URLSearchParams(request.search));
      const numWritten = await imports.importNow(
        bodyOf(request),
        mustBe(importRequest, parameters),
      );
      return json({ numWritten });
    },
  } satisfies Partial<ApiHandlers>;
}

function bodyOf({ raw, services }: ApiRequest): AsyncIterable<Uint8Array> {
  return services.bodies.chunks(raw);
}
