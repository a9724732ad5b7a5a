/** What actions and imports need of file storage. */
import { fileKey } from "../database/storage_urls.ts";
import { type FileStorage, hexDigest } from "../file_storage/file_storage.ts";
import type { FileStore } from "../file_storage/file_store.ts";
import type { HostServices } from "../functions/host_services.ts";
import type { ImportedFiles } from "../snapshots/snapshot_imports.ts";

type ActionFiles = Pick<
  HostServices,
  | "storeFile"
  | "readFile"
  | "deleteFile"
  | "getFileUrl"
  | "getFileMetadata"
  | "generateUploadUrl"
>;

export function actionFiles(files: () => FileStorage): ActionFiles {
  return {
    storeFile: ({ chunks, ...description }, { component }) =>
      files().add(chunks, description, component),
    async readFile({ storageId, start, bytesMax }, { component }) {
      const file = files().findByStorageId(storageId, component);
      const bytes = file && await files().read(file, start, bytesMax);
      return bytes && { bytes, size: file!.size, contentType: file!.contentType };
    },
    deleteFile: (storageId, { component }) => files().delete(storageId, component),
    getFileUrl: async (storageId, { component }) => files().url(storageId, component),
    async getFileMetadata(storageId, { component }) {
      const file = files().findByStorageId(storageId, component);
      if (file === null) return null;
      const { key, sha256, size, contentType } = file;
      return JSON.stringify({ storageId: key, sha256: hexDigest(sha256), size, contentType });
    },
    generateUploadUrl: async ({ component }) => files().uploadUrl(component),
  };
}

export function importedFiles(store: FileStore, files: FileStorage, secret: string): ImportedFiles {
  return {
    receive: (chunks) => store.receive(chunks),
    discard: (path) => store.discard({ path }),
    async keep(path, id) {
      await store.keep(path, fileKey(secret, id));
    },
    async removeUnused(id) {
      if (files.find(id) === null) await store.remove(fileKey(secret, id));
    },
  };
}
