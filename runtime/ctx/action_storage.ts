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
    store: (blob: unknown, options?: { sha256?: string }) => storeBlob(host, blob, options),
    get: (storageId: unknown) => getBlob(host, storageId),
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

export async function storeBlob(
  host: ActionHost,
  blob: unknown,
  options?: { sha256?: string },
): Promise<string> {
  if (!(blob instanceof Blob)) {
    throw new Error(
      "store() expects a Blob. If you are trying to store a Request, `await request.blob()` will give you the correct input.",
    );
  }
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const fields = {
    ...blob.type !== "" && { contentType: blob.type },
    ...options?.sha256 !== undefined && { sha256: options.sha256 },
  };
  return JSON.parse(await host.operations.performJson("storageStore", fields, bytes));
}

export async function getBlob(host: ActionHost, storageId: unknown): Promise<Blob | null> {
  if (typeof storageId !== "string") {
    throw new Error(`storage.get requires a string storageId but received ${storageId}`);
  }
  const { fields, body } = await host.operations.perform("storageGet", { storageId });
  if (fields.found !== true) return null;
  return new Blob([body.slice()], { type: String(fields.contentType ?? "") });
}
