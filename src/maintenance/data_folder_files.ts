/** The files that a database refers to, in the folders beside it. */
import { join } from "node:path";
import { byIdIndexId, type IndexId } from "../database/catalog.ts";
import { fileKey } from "../database/storage_urls.ts";
import type { Timestamp } from "../database/timestamp.ts";
import {
  type DeploymentRecord,
  type InstanceRecord,
  modulesOf,
  type PushedModule,
  recordKeys,
} from "../deploy/deployment.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { type IndexKey, indexKeyOf, keySuccessor, lowestKey } from "../values/index_key.ts";
import { parseDocument, type ValueObject } from "../values/value.ts";

/** Documents that are read at once. */
const pageLength = 500;

export interface StoredFile {
  /** Of its document in `_storage`. */
  readonly id: string;
  /** Below the data folder. */
  readonly path: string;
  readonly size: number;
  /** Base64. */
  readonly sha256: string;
}

export function newestTimestamp(reader: SnapshotReader): Timestamp {
  const snapshot = reader.open();
  const { timestamp } = snapshot;
  snapshot.close();
  return timestamp;
}

/** The modules of the live deployment, those of its components included. */
export function deployedModules(reader: SnapshotReader): readonly PushedModule[] {
  const json = reader.getRecord(recordKeys.deployment);
  return json === undefined ? [] : modulesOf(JSON.parse(json) as DeploymentRecord);
}

/** Paths of their files below the data folder. */
export function moduleFiles(modules: readonly PushedModule[]): readonly string[] {
  const names = new Set(modules.flatMap(({ file, sourceFile }) => [file, sourceFile]));
  return [...names].map((name) => join("modules", name));
}

/** Everything in `_storage`, page by page. */
export function* storedFiles(reader: SnapshotReader): Generator<StoredFile> {
  const json = reader.getRecord(recordKeys.instance);
  if (json === undefined) return;
  const { fileStorageSecret } = JSON.parse(json) as InstanceRecord;
  for (const index of storageIndexes(reader)) {
    yield* filesOf(reader, index, fileStorageSecret);
  }
}

/** The `by_id` indexes of the `_storage` tables of the app and of all components. */
function storageIndexes(reader: SnapshotReader): IndexId[] {
  const snapshot = reader.open();
  try {
    return snapshot.catalog.tablesNamed("_storage").map(({ number }) => byIdIndexId(number));
  } finally {
    snapshot.close();
  }
}

function* filesOf(
  reader: SnapshotReader,
  index: IndexId,
  fileStorageSecret: string,
): Generator<StoredFile> {
  for (let lower: IndexKey | null = lowestKey; lower !== null;) {
    const page = storagePage(reader, index, lower);
    for (const { _id, size, sha256 } of page) {
      const path = join("files", fileKey(fileStorageSecret, String(_id)));
      yield { id: String(_id), path, size: Number(size), sha256: String(sha256) };
    }
    const last = page.length < pageLength ? undefined : page.at(-1);
    lower = last === undefined ? null : keySuccessor(indexKeyOf(byId, last));
  }
}

function storagePage(reader: SnapshotReader, index: IndexId, lower: IndexKey): ValueObject[] {
  const snapshot = reader.open();
  try {
    const documents = snapshot.scan(index, { lower, upper: null }, "asc", pageLength);
    return documents.map(({ json }) => parseDocument(json));
  } finally {
    snapshot.close();
  }
}

const byId = { name: "by_id", fields: [] };
