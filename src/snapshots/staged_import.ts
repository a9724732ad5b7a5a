/**
 * Prepares an import: reads all of it, checks every document, and writes what is to be committed into a file beside
 * the upload. Nothing that anybody sees has changed by then.
 */
import {
  byCreationTimeIndexId,
  byIdIndexId,
  Catalog,
  componentOf,
  qualifiedName,
  systemTables,
  type TableDefinition,
} from "../database/catalog.ts";
import { componentPath } from "../database/component.ts";
import type { Snapshot } from "../database/snapshot.ts";
import type { Environment } from "../environment.ts";
import { catalogAfter } from "../persistence/catalog_change.ts";
import { type DocumentImport, importedCatalog } from "../persistence/document_import.ts";
import { idTableNumber } from "../values/document_id.ts";
import { lowestKey, prefixInterval } from "../values/index_key.ts";
import { parseDocument } from "../values/value.ts";
import { DocumentStage } from "./document_stage.ts";
import { FileStage, type FileStageParts, type StagedFile } from "./file_stage.ts";
import { type ImportMode, planImport } from "./import_plan.ts";
import type { ImportSource, SourceDocument } from "./import_source.ts";
import { ImportedComponents } from "./imported_components.ts";
import { LineFile } from "./line_file.ts";
import { Pace } from "./pace.ts";

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
  readonly receiveFile: FileStageParts["receiveFile"];
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

/** @throws RequestError for the first thing that is wrong. Then what was received is gone. */
export async function stageImport(
  source: ImportSource,
  parts: StagingParts,
): Promise<StagedImport> {
  const before = readBefore(
    parts.openSnapshot(),
    source.tables.some(({ fileBytes }) => fileBytes !== undefined),
  );
  const { storedFiles } = before;
  const files = new FileStage({ storedFiles, receiveFile: parts.receiveFile });
  try {
    return await stage(source, before, files, parts);
  } catch (error) {
    for (const { path } of files.files) await parts.discardFile(path);
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
  files: FileStage,
  parts: StagingParts,
): Promise<StagedImport> {
  const { mode, path, environment, signal } = parts;
  const { catalog: { data: catalog }, count } = before;
  const components = new ImportedComponents(catalog, parts.component, environment);
  const planned = await Promise.all(source.tables.map(async (table) => ({
    component: components.at(table.component),
    name: table.name,
    number: table.number ?? await firstTableNumber(table.documents()),
  })));
  const createComponents = components.missing;
  const withComponents = catalogAfter(catalog, { setComponents: createComponents });
  const plan = planImport(withComponents, planned, { mode, count });
  const { tables } = plan;
  const change = { ...plan.change, catalogVersion: catalog.version, createComponents };
  const after = importedCatalog(catalog, change);
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
        fileBytes === undefined ? document : await files.stage(table, document, fileBytes),
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
    counts: countsOf({ catalog: new Catalog(withComponents), count }, change, tables, created),
    documents: created.values().reduce((sum, count) => sum + count, 0),
    files: files.files,
  };
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
  { catalog, count }: Pick<Before, "catalog" | "count">,
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
