/** Writes the ZIP of an export: everything in one snapshot, document by document (deploy-protocol 9). */
import { Uint8ArrayReader, ZipWriter } from "@zip.js/zip.js";
import {
  byCreationTimeIndexId,
  componentOf,
  isSystemTable,
  type TableNumber,
} from "../database/catalog.ts";
import { appComponent, componentPath } from "../database/component.ts";
import { fileKey } from "../database/storage_urls.ts";
import type { Snapshot } from "../database/snapshot.ts";
import { type IndexKey, indexKeyOf, keySuccessor, lowestKey } from "../values/index_key.ts";
import { parseDocument, type ValueObject } from "../values/value.ts";
import { uniformSchema, uniformText } from "./document_text.ts";
import {
  componentFolder,
  documentsFile,
  readme,
  schemaFile,
  storageFolder,
  storedFileName,
  tablesFolder,
} from "./snapshot_layout.ts";

/** Documents that are in memory at once, at most of this many bytes if they are more than one. */
const pageLength = 100;
const lineBytes = 64 * 1024;

export interface ExportSource {
  readonly snapshot: Snapshot;
  /** See src/database/storage_urls.ts. */
  readonly fileStorageSecret: string;
  /** The bytes of a stored file; absent: the export has no files. */
  readonly openFile?: (key: string) => Promise<ReadableStream<Uint8Array>>;
  /** Called before each table. */
  readonly onProgress: (message: string) => Promise<void>;
}

/** Writes the whole ZIP to `target`, which is closed at the end. Rejects when `signal` says so. */
export async function writeExportZip(
  source: ExportSource,
  { target, signal }: { target: WritableStream<Uint8Array>; signal: AbortSignal },
): Promise<void> {
  const zip = new ZipWriter(target, { useWebWorkers: false, level: 6, signal });
  await addText(zip, "README.md", readme);
  const { data } = source.snapshot.catalog;
  const components = [appComponent, ...(data.components ?? []).map(({ id }) => id)];
  for (const component of components) {
    const prefix = componentFolder(componentPath(data.components ?? [], component));
    const tables = data.tables
      .filter((table) => componentOf(table) === component && !isSystemTable(table.name));
    const listed = tables.map(({ name, number }) =>
      `${uniformText({ name, id: BigInt(number) })}\n`
    );
    await addText(zip, `${prefix}${tablesFolder}/${documentsFile}`, listed.join(""));
    for (const table of tables) {
      await source.onProgress(`Exporting table ${table.name}`);
      await addTable(zip, source.snapshot, `${prefix}${table.name}`, table.number);
    }
    const files = source.snapshot.catalog.tableNamed(component, "_storage");
    if (source.openFile !== undefined && files !== undefined) {
      await source.onProgress("Exporting stored files");
      await addStoredFiles(zip, source, { prefix, table: files.number, open: source.openFile });
    }
  }
  await zip.close();
}

type Zip = ZipWriter<unknown>;

async function addText(zip: Zip, name: string, text: string): Promise<void> {
  await zip.add(name, new Uint8ArrayReader(new TextEncoder().encode(text)));
}

async function addTable(
  zip: Zip,
  snapshot: Snapshot,
  folder: string,
  table: TableNumber,
): Promise<void> {
  await addText(zip, `${folder}/${schemaFile}`, `${uniformSchema}\n`);
  await addLines(zip, `${folder}/${documentsFile}`, lines(snapshot, table, uniformText));
}

/** The file may grow beyond what sizes of 32 bits can say before anybody knows. */
async function addLines(zip: Zip, name: string, lines: Iterable<string>): Promise<void> {
  await zip.add(name, textStream(lines), { zip64: true });
}

function* lines(
  snapshot: Snapshot,
  table: TableNumber,
  textOf: (document: ValueObject) => string,
): Generator<string> {
  for (const document of documents(snapshot, table)) yield `${textOf(document)}\n`;
}

/** In the order of their creation. */
function* documents(snapshot: Snapshot, table: TableNumber): Generator<ValueObject> {
  const index = byCreationTimeIndexId(table);
  for (let lower: IndexKey = lowestKey;;) {
    const page = snapshot.scan(index, { lower, upper: null }, "asc", pageLength);
    let last: ValueObject | undefined;
    for (const { json } of page) yield last = parseDocument(json);
    if (page.length < pageLength) return;
    lower = keySuccessor(indexKeyOf({ fields: [], name: "by_creation_time" }, last!));
  }
}

/** Lines in pieces of a size that compresses well. What is not asked for is not made. */
function textStream(lines: Iterable<string>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const iterator = lines[Symbol.iterator]();
  const encoder = new TextEncoder();
  return new ReadableStream({
    pull(controller) {
      let text = "";
      while (text.length < lineBytes) {
        const next = iterator.next();
        if (next.done) {
          if (text !== "") controller.enqueue(encoder.encode(text));
          controller.close();
          return;
        }
        text += next.value;
      }
      controller.enqueue(encoder.encode(text));
    },
  }, { highWaterMark: 0 });
}

async function addStoredFiles(
  zip: Zip,
  { snapshot, fileStorageSecret }: ExportSource,
  { prefix, table, open }: StoredFiles,
): Promise<void> {
  const describe = (document: ValueObject) => {
    const internalId = fileKey(fileStorageSecret, document._id as string);
    return uniformText({ ...document, internalId });
  };
  const name = `${prefix}${storageFolder}/${documentsFile}`;
  await addLines(zip, name, lines(snapshot, table, describe));
  for (const { _id, contentType } of documents(snapshot, table)) {
    const id = _id as string;
    const name = `${prefix}${storedFileName(id, contentType as string | null)}`;
    await zip.add(name, await open(fileKey(fileStorageSecret, id)), { zip64: true });
  }
}

interface StoredFiles {
  /** Of their names in the ZIP. */
  readonly prefix: string;
  /** The component's `_storage`. */
  readonly table: TableNumber;
  readonly open: NonNullable<ExportSource["openFile"]>;
}
