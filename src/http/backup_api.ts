/** Downloads a backup of the running server; our own endpoint, for administrators. */
import type { Environment } from "../environment.ts";
import type { ApiHandlers } from "./routes.ts";

/** `LiveBackups` of src/maintenance/ is the implementation. */
export interface Backups {
  /** The bytes of a backup of the newest state. */
  begin(): Promise<ReadableStream<Uint8Array>>;
}

export function backupApi(backups: Backups, environment: Environment) {
  return {
    async downloadBackup(request) {
      await request.requireAdmin();
      const headers = {
        "content-type": "application/x-tar",
        "content-disposition": `attachment; filename="${fileName(environment.nowMs())}"`,
        "cache-control": "no-store",
      };
      // Asking whether there would be one must not begin it.
      if (request.raw.method === "HEAD") return new Response(null, { headers });
      return new Response(await backups.begin(), { headers });
    },
  } satisfies Partial<ApiHandlers>;
}

/** `hull-20261122T174500Z.tar` */
function fileName(nowMs: number): string {
  const time = new Date(nowMs).toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
  return `hull-${time}.tar`;
}
