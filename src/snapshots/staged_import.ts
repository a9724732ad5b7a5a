/**
 * Prepares an import: reads all of it, checks every document, and writes what is to be committed into a file beside
 * the upload. Nothing that anybody sees has changed by then.
 */
import { Buffer } from "node:buffer";
import {
  byCreationTimeIndexId,
  byIdIndexId,
  Catalog,
  type CatalogData,
  componentOf,
  isDatabaseIndex,
  qualifiedName,
  systemTables,
  type TableDefinition,
} from "../database/catalog.ts";
import { checkDocumentSize, encodeDocument } from "../database/document.ts";
import { appComponent, type ComponentId, componentPath } from "../database/component.ts";
import type { SchemaViolation } from "../database/write_set.ts";
import type { Snapshot } from "../database/snapshot.ts";
import type { Environment } from "../environment.ts";
import {
  type DocumentImport,
  importedCatalog,
  type ImportedDocument,
} from "../persistence/document_import.ts";
import { generateId, idTableNumber, randomIdBytes } from "../values/document_id.ts";
import { indexKeyOf, lowestKey, prefixInterval } from "../values/index_key.ts";
import { parseDocument, type Value, type ValueObject } from "../values/value.ts";
import { at, importError } from "./import_error.ts";
import { type ImportMode, planImport } from "./import_plan.ts";
import type { ImportSource, SourceDocument, SourceTable } from "./import_source.ts";

export interface StagedImport {
  readonly change: DocumentImport;
  /** By table, in the order of the import. */
  readonly counts: readonly TableCount[];
  /** Documents that come in, stored files included. */
  readonly documents: number;
  readonly files: readonly StagedFile[];
}

export interface TableCount {
  /** Path of the component; empty for the app. */
  readonly component: string;
  readonly table: string;
  readonly created: number;
  readonly deleted: number;
  /** Documents of the table now. */
  readonly existing: number;
}

/** Bytes that were received for the file with this id. */
export interface StagedFile {
  readonly id: string;
  readonly path: string;
}

export interface StagingParts {
  /** The newest one. */
  readonly openSnapshot: () => Snapshot;
  readonly mode: ImportMode;
  /** Path of the component to import into; empty for the app. */
  readonly component: string;
  readonly environment: Environment;
  /** Where to write. */
  readonly path: string;
  readonly signal: AbortSignal;
  readonly receiveFile: (
    chunks: AsyncIterable<Uint8Array>,
  ) => Promise<{ path: string; size: number; sha256: string }>;
  /** Called with what was received and is not needed. */
  readonly discardFile: (path: string) => Promise<void>;
}

/** What comes of a snapshot; it need not be open any more. */
interface Before {
  readonly catalog: Catalog;
  readonly count: (table: number) => number;
  /** The stored files there are: digest by id. */
  readonly storedFiles: ReadonlyMap<string, string>;
}

/** The main thread goes on with other work after this long, in milliseconds. */
const sliceMs = 4;
const bufferedBytes = 256 * 1024;

/** @throws RequestError for the first thing that is wrong. Then what was received is gone. */
export async function stageImport(
  source: ImportSource,
  parts: StagingParts,
): Promise<StagedImport> {
  const before = readBefore(
    parts.openSnapshot(),
    source.tables.some(({ fileBytes }) => fileBytes !== undefined),
  );
  const files: StagedFile[] = [];
  try {
    return await stage(source, before, files, parts);
  } catch (error) {
    for (const { path } of files) await parts.discardFile(path);
    throw error;
  }
}

function readBefore(snapshot: Snapshot, withFiles: boolean): Before {
  try {
    return readFrom(snapshot, withFiles);
  } finally {
    snapshot.close();
  }
}

function readFrom(snapshot: Snapshot, withFiles: boolean): Before {
  const { catalog } = snapshot;
  const tables = [...catalog.data.tables.map(({ number }) => number), systemTables._storage];
  const counts = new Map<number, number>(tables.map((table) => [
    table,
    snapshot.count(byCreationTimeIndexId(table), prefixInterval(lowestKey)),
  ]));
  const storedFiles = new Map<string, string>();
  for (const { number } of withFiles ? catalog.tablesNamed("_storage") : []) {
    const everything = prefixInterval(lowestKey);
    for (
      const { json } of snapshot.scan(
        byIdIndexId(number),
        everything,
        "asc",
        Number.MAX_SAFE_INTEGER,
      )
    ) {
      const { _id, sha256 } = parseDocument(json);
      storedFiles.set(_id as string, sha256 as string);
    }
  }
  return { catalog, count: (table) => counts.get(table) ?? 0, storedFiles };
}

async function stage(
  source: ImportSource,
  before: Before,
  files: StagedFile[],
  parts: StagingParts,
): Promise<StagedImport> {
  const { mode, path, environment, signal } = parts;
  const { catalog, count } = before;
  const planned = await Promise.all(source.tables.map(async (table) => ({
    component: mustComponent(catalog.data, parts.component, table.component),
    name: table.name,
    number: table.number ?? await firstTableNumber(table.documents()),
  })));
  const { change, tables } = planImport(catalog.data, planned, { mode, count });
  const after = importedCatalog(catalog.data, change);
  const writer = new DocumentStage(new Catalog(after), environment);
  using output = new LineFile(path);
  const pace = new Pace(environment, signal);
  const created = new Map<string, number>();
  for (const [i, { documents, fileBytes }] of source.tables.entries()) {
    const table = tables[i]!;
    let count = 0;
    for await (const document of documents()) {
      output.add(writer.stage(
        table,
        fileBytes === undefined
          ? document
          : await stageFile(table, document, fileBytes, before, files, parts),
      ));
      count++;
      if (output.isFull) output.flush();
      await pace.yield();
    }
    created.set(qualifiedName(table), count);
  }
  output.flush();
  const violation = writer.pendingSchemaViolation;
  return {
    change: { ...change, ...violation !== undefined && { pendingSchemaViolation: violation } },
    counts: countsOf(before, change, tables, created),
    documents: created.values().reduce((sum, count) => sum + count, 0),
    files,
  };
}

/** The component at a path below another one. */
function mustComponent(
  { components = [] }: CatalogData,
  root: string,
  below: string,
): ComponentId {
  let id = appComponent;
  const path = [root, below].join("/").split("/").filter((name) => name !== "");
  for (const name of path) {
    const child = components.find((component) =>
      component.parent === id && component.name === name
    );
    if (child === undefined) {
      throw importError(
        "ComponentNotFound",
        `There is no component ${path.join("/")}. Deploy the app that uses it first.`,
      );
    }
    id = child.id;
  }
  return id;
}

/** The number in the id of the first document, if it has one. */
async function firstTableNumber(
  documents: AsyncIterable<SourceDocument>,
): Promise<number | undefined> {
  for await (const { fields } of documents) {
    return typeof fields._id === "string" ? idTableNumber(fields._id) : undefined;
  }
  return undefined;
}

function countsOf(
  { catalog, count }: Before,
  { emptyTables }: Pick<DocumentImport, "emptyTables">,
  imported: readonly TableDefinition[],
  created: ReadonlyMap<string, number>,
): TableCount[] {
  const emptied = emptyTables.map((number) => catalog.tableNumbered(number)!);
  const names = new Set(imported.map(qualifiedName));
  const others = emptied.filter((table) => !names.has(qualifiedName(table)));
  return [...imported, ...others].map((table) => {
    const name = qualifiedName(table);
    const before = catalog.tableNamed(componentOf(table), table.name)?.number;
    const existing = before === undefined ? 0 : count(before);
    const isEmptied = before !== undefined && emptyTables.includes(before);
    return {
      component: componentPath(catalog.data.components ?? [], componentOf(table)),
      table: table.name,
      created: created.get(name) ?? 0,
      deleted: isEmptied ? existing : 0,
      existing,
    };
  });
}

/** Turns documents into what the writer commits. */
class DocumentStage {
  readonly #catalog: Catalog;
  readonly #environment: Environment;
  #nextCreationTime: number;
  /** The first one. */
  pendingSchemaViolation: SchemaViolation | undefined;

  constructor(catalog: Catalog, environment: Environment) {
    this.#catalog = catalog;
    this.#environment = environment;
    this.#nextCreationTime = environment.nowMs();
  }

  stage(table: TableDefinition, { fields: original, source }: SourceDocument): ImportedDocument {
    const { _id, _creationTime, ...fields } = original;
    const id = _id === undefined ? this.#newId(table) : checkedId(table, _id, source);
    const systemFields = {
      _id: id,
      _creationTime: this.#creationTime(_creationTime, source),
    };
    const json = at(source, "InvalidDocument", () => {
      const encoded = encodeDocument(fields, systemFields, original);
      if (table.name !== "_storage") checkDocumentSize(encoded);
      return encoded.json;
    });
    this.#checkSchemas(table, fields, source);
    const document = parseDocument(json);
    const addedKeys = this.#catalog.indexesOf(table.number).filter(isDatabaseIndex)
      .map((index) => [index.id, indexKeyOf(index, document)] as const);
    return {
      write: {
        table: table.number,
        id,
        row: null,
        json,
        existed: false,
        removedKeys: [],
        addedKeys,
        keptKeys: [],
      },
      source,
    };
  }

  #newId({ number }: TableDefinition): string {
    const { randomBytes, nowMs } = this.#environment;
    return generateId(number, randomBytes(randomIdBytes), nowMs());
  }

  /** Documents without one are as old as their place in the import says. */
  #creationTime(given: Value | undefined, source: string): number {
    if (given === undefined) return this.#nextCreationTime += 1 / 1024;
    if (typeof given === "number" && Number.isFinite(given)) return given;
    throw importError(
      "InvalidCreationTime",
      "_creationTime must be a number of milliseconds",
      source,
    );
  }

  #checkSchemas(table: TableDefinition, fields: ValueObject, source: string): void {
    const { name } = table;
    const tableName = this.#catalog.tableNames(componentOf(table));
    const problem = this.#catalog.documentValidator("active", table)?.check(fields, tableName);
    if (problem) {
      throw importError(
        "SchemaEnforcementError",
        `the document does not match the schema of table "${name}": ${problem}`,
        source,
      );
    }
    if (this.pendingSchemaViolation !== undefined) return;
    const pending = this.#catalog.documentValidator("pending", table)?.check(fields, tableName);
    if (!pending) return;
    this.pendingSchemaViolation = {
      component: componentOf(table),
      tableName: name,
      error: `New document in table "${name}" does not match the schema: ${pending}`,
    };
  }
}

function checkedId({ name, number }: TableDefinition, id: Value, source: string): string {
  const found = typeof id === "string" ? idTableNumber(id) : undefined;
  if (found === undefined) throw importError("InvalidId", `${JSON.stringify(id)} is no id`, source);
  if (found === number) return id as string;
  throw importError(
    "InvalidId",
    `the id ${id} is one of table number ${found}, but ${name} has number ${number}`,
    source,
  );
}

/** Receives the bytes of a file; the document is what `_storage` keeps of it. */
async function stageFile(
  table: TableDefinition,
  { fields, source }: SourceDocument,
  fileBytes: NonNullable<SourceTable["fileBytes"]>,
  { storedFiles }: Before,
  files: StagedFile[],
  { receiveFile }: StagingParts,
): Promise<SourceDocument> {
  const { _id, _creationTime, contentType = null, sha256: announced } = fields;
  const id = checkedId(table, _id ?? null, source);
  if (contentType !== null && typeof contentType !== "string") {
    throw importError("InvalidStorageDocument", "contentType must be a text", source);
  }
  const bytes = fileBytes(id);
  if (bytes === undefined) {
    throw importError("FileMissing", `the import does not hold the file ${id}`, source);
  }
  const { path, size, sha256 } = await receiveFile(bytes);
  files.push({ id, path });
  if (typeof announced === "string" && !isDigest(announced, sha256)) {
    throw importError("Sha256Mismatch", `the file ${id} is not the one that was exported`, source);
  }
  const stored = storedFiles.get(id);
  if (stored !== undefined && stored !== sha256) {
    const message = `there is another file under the id ${id}, and a file never changes`;
    throw importError("ImportConflict", message, source);
  }
  const described: ValueObject = { _id: id, sha256, size, contentType };
  if (_creationTime !== undefined) described._creationTime = _creationTime;
  return { fields: described, source };
}

/** Base64 as in exports, or hexadecimal. */
function isDigest(announced: string, base64: string): boolean {
  return announced === base64 ||
    announced.toLowerCase() === Buffer.from(base64, "base64").toString("hex");
}

/** Lines that are written in large pieces. */
class LineFile implements Disposable {
  readonly #file: Deno.FsFile;
  #buffered: string[] = [];
  #length = 0;

  constructor(path: string) {
    this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
  }

  add(document: ImportedDocument): void {
    const line = JSON.stringify(document) + "\n";
    this.#length += line.length;
    this.#buffered.push(line);
  }

  get isFull(): boolean {
    return this.#length >= bufferedBytes;
  }

  flush(): void {
    const bytes = new TextEncoder().encode(this.#buffered.join(""));
    for (let written = 0; written < bytes.byteLength;) {
      written += this.#file.writeSync(bytes.subarray(written));
    }
    this.#buffered = [];
    this.#length = 0;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Lets other work of the thread have its turn. */
class Pace {
  readonly #environment: Environment;
  readonly #signal: AbortSignal;
  #beganMs: number;

  constructor(environment: Environment, signal: AbortSignal) {
    this.#environment = environment;
    this.#signal = signal;
    this.#beganMs = environment.monotonicMs();
  }

  async yield(): Promise<void> {
    if (this.#environment.monotonicMs() - this.#beganMs < sliceMs) return;
    await new Promise<void>((resolve) => this.#environment.setTimer(0, resolve));
    this.#signal.throwIfAborted();
    this.#beganMs = this.#environment.monotonicMs();
  }
}
