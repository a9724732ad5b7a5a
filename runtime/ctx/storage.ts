/** `ctx.storage` of queries and mutations: files are documents of `_storage` (function-abi 9). */
import {
  fileKey,
  type FileOrigin,
  fileUrl,
  storageDocumentId,
  uploadUrl,
} from "../../src/database/storage_urls.ts";
import type { Transaction } from "../../src/database/transaction.ts";
import { DeveloperError, errorMessage } from "../../src/errors.ts";
import { forbiddenError } from "../globals/refusals.ts";
import { requireArgument } from "./arguments.ts";
import type { TransactionHost } from "./transaction_host.ts";

export function storageReader(host: TransactionHost) {
  return {
    getUrl: async (storageId: unknown) => {
      requireArgument(storageId, 1, "getUrl", "storageId");
      return await getFileUrl(host, storageId);
    },
    getMetadata: (storageId: unknown) => getFileMetadata(host, storageId),
  };
}

export function storageWriter(host: TransactionHost) {
  return {
    ...storageReader(host),
    generateUploadUrl: async () => generateUploadUrl(host),
    delete: (storageId: unknown) => deleteFile(host, storageId),
    store: async () => {
      throw forbiddenError("storage.store()", host.execution);
    },
    get: async () => {
      throw forbiddenError("storage.get()", host.execution);
    },
  };
}

export function getFileUrl(host: TransactionHost, storageId: unknown): Promise<string | null> {
  const service = fileService(host);
  return host.operation((transaction) => {
    const file = findFile(host, transaction, storageId, "storage.getUrl");
    return file && fileUrl(service, file.id, host.component.id);
  });
}

export function getFileMetadata(host: TransactionHost, storageId: unknown) {
  return host.operation((transaction) => {
    const file = findFile(host, transaction, storageId, "storage.getMetadata");
    if (file === null) return null;
    const { sha256, size, contentType } = file.document;
    return {
      storageId: fileKey(fileService(host).secret, file.id),
      sha256: Uint8Array.fromBase64(String(sha256)).toHex(),
      size,
      contentType,
    };
  });
}

export function deleteFile(host: TransactionHost, storageId: unknown): Promise<void> {
  return host.operation((transaction) => {
    transaction.checkWritable();
    const file = findFile(host, transaction, storageId, "storage.delete");
    if (file === null) {
      throw new DeveloperError("StorageIdNotFound", `storage id ${storageId} not found`);
    }
    transaction.system.delete(file.id);
  });
}

export function generateUploadUrl(host: TransactionHost): string {
  return uploadUrl(fileService(host), host.execution.now(), host.component.id);
}

function findFile(
  host: TransactionHost,
  transaction: Transaction,
  storageId: unknown,
  method: string,
) {
  const id = documentId(host, transaction, storageId, method);
  const document = transaction.system.get(id);
  return document && { id, document };
}

function documentId(
  host: TransactionHost,
  transaction: Transaction,
  storageId: unknown,
  method: string,
): string {
  try {
    const table = transaction.systemTable("_storage");
    return storageDocumentId(fileService(host).secret, String(storageId), table);
  } catch (error) {
    throw new DeveloperError(
      "InvalidArgument",
      `Invalid argument \`storageId\` for \`${method}\`: ${errorMessage(error)}`,
    );
  }
}

function fileService({ deployment, execution }: TransactionHost): FileOrigin {
  const { fileStorageSecret: secret } = deployment.manifest;
  const origin = execution.readVariable("CONVEX_CLOUD_URL");
  if (secret === undefined || origin === undefined) {
    throw new Error("File storage is not available here");
  }
  return { origin, secret };
}
