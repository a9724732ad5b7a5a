/** `ctx.storage` of actions: every operation is the server's (function-abi 9). */
import type { ActionHost } from "./action_host.ts";
import { requireArgument } from "./arguments.ts";

export function actionStorage(host: ActionHost) {
  return {
    getUrl: async (storageId: unknown) => {
      requireArgument(storageId, 1, "getUrl", "storageId");
      return await fileOperation(host, "storageGetUrl", storageId);
    },
    getMetadata: (storageId: unknown) => fileOperation(host, "storageGetMetadata", storageId),
    generateUploadUrl: () => uploadUrl(host),
    delete: async (storageId: unknown) => {
      await fileOperation(host, "storageDelete", storageId);
    },
    store: (blob: unknown, options?: { sha256?: string }) => host.blobs.store(blob, options),
    get: (storageId: unknown) => host.blobs.get(storageId),
  };
}

export async function fileOperation(
  host: ActionHost,
  operation: "storageGetUrl" | "storageGetMetadata" | "storageDelete",
  storageId: unknown,
): Promise<unknown> {
  return JSON.parse(await host.operations.performJson(operation, { storageId: String(storageId) }));
}

export async function uploadUrl(host: ActionHost): Promise<string> {
  return JSON.parse(await host.operations.performJson("storageGenerateUploadUrl", {}));
}
