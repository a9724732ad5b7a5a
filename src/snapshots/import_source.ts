/** The tables and documents in an uploaded file, whatever its format (deploy-protocol 10). */
import { identifierProblem } from "../values/limits.ts";
import type { ValueObject } from "../values/value.ts";
import { isValueObject } from "../values/value.ts";
import { csvRows } from "./csv_documents.ts";
import { parseText, uniformSchema } from "./document_text.ts";
import { at, importError } from "./import_error.ts";
import { jsonArray, jsonLines, type LocatedText } from "./json_documents.ts";
import {
  componentFolder,
  documentsFile,
  schemaFile,
  storageFolder,
  tablesFolder,
} from "./snapshot_layout.ts";
import { ZipFile } from "./zip_file.ts";

export type ImportFormat = "csv" | "jsonLines" | "jsonArray" | "zip";

export interface ImportSource extends AsyncDisposable {
  readonly tables: readonly SourceTable[];
}

export interface SourceTable {
  /** Path of the component below the one that is imported into; empty for that itself. */
  readonly component: string;
  readonly name: string;
  /** As the import says, if it does. */
  readonly number: number | undefined;
  documents(): AsyncIterable<SourceDocument>;
  /** Of `_storage`: the bytes of the file with this id; undefined when the import does not hold them. */
  fileBytes?(id: string): AsyncIterable<Uint8Array> | undefined;
}

export interface SourceDocument {
  readonly fields: ValueObject;
  /** File and line. */
  readonly source: string;
}

export interface SingleTable {
  readonly name: string;
  /** Whether an empty cell of a CSV file means that there is no such field. */
  readonly isOptional: (field: string) => boolean;
}

/** The source in a file of one table. */
export function openTableFile(
  path: string,
  format: Exclude<ImportFormat, "zip">,
  { name, isOptional }: SingleTable,
): ImportSource {
  checkTableName(name);
  const documents = () => {
    const file = { csv: "CSV", jsonLines: "JSONL", jsonArray: "JSON" }[format] + " file";
    switch (format) {
      case "csv":
        return csvDocuments(path, file, isOptional);
      case "jsonLines":
        return jsonDocuments(jsonLines(fileBytes(path), file), file, false);
      case "jsonArray":
        return jsonDocuments(jsonArray(fileBytes(path), file), file, false);
    }
  };
  return {
    tables: [{ component: "", name, number: undefined, documents }],
    async [Symbol.asyncDispose]() {},
  };
}

/** The source in a ZIP. @throws RequestError when it has not the layout of an export. */
export async function openZip(path: string): Promise<ImportSource> {
  const zip = await ZipFile.open(path);
  try {
    const tables: SourceTable[] = [];
    for (const [component, folders] of foldersByComponent(zip)) {
      tables.push(...await tablesOf(zip, component, folders));
    }
    if (tables.length > 0) {
      return {
        tables,
        [Symbol.asyncDispose]: () => zip[Symbol.asyncDispose](),
      };
    }
    throw importError(
      "InvalidZip",
      `the ZIP holds no table. Those of an export have a file TABLE/${documentsFile} at its top.`,
    );
  } catch (error) {
    await zip[Symbol.asyncDispose]();
    throw error;
  }
}

/** By path of the component, the folders with documents. */
function foldersByComponent(zip: ZipFile): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const name of zip.names) {
    const match = /^((?:_components\/[^/]+\/)*)([^/]+)\/documents\.jsonl$/.exec(name);
    if (match === null) continue;
    const component = match[1]!.split("/").filter((_, i) => i % 2 === 1).join("/");
    if (!found.has(component)) found.set(component, new Set());
    found.get(component)!.add(match[2]!);
  }
  return found;
}

async function tablesOf(
  zip: ZipFile,
  component: string,
  folders: ReadonlySet<string>,
): Promise<SourceTable[]> {
  const prefix = componentFolder(component);
  const numbers = await readTableNumbers(zip, prefix);
  const names = new Set(
    [...numbers.keys(), ...folders].filter((name) =>
      name !== tablesFolder && name !== storageFolder
    ),
  );
  const tables: SourceTable[] = [];
  for (const name of names) {
    checkTableName(name);
    const isUniform = await readIsUniform(zip, `${prefix}${name}/${schemaFile}`);
    const documents = () => zipDocuments(zip, `${prefix}${name}/${documentsFile}`, isUniform);
    tables.push({ component, name, number: numbers.get(name), documents });
  }
  return folders.has(storageFolder) ? [...tables, storedFiles(zip, component)] : tables;
}

async function readTableNumbers(zip: ZipFile, prefix: string): Promise<Map<string, number>> {
  const numbers = new Map<string, number>();
  const file = `${prefix}${tablesFolder}/${documentsFile}`;
  for await (const { fields, source } of zipDocuments(zip, file, false)) {
    const { name, id } = fields;
    if (typeof name !== "string" || typeof id !== "number") {
      throw importError("InvalidTables", "expected the name and the number of a table", source);
    }
    // System tables have the same numbers everywhere, and their documents are not imported.
    if (name.startsWith("_")) continue;
    if (numbers.has(name)) {
      throw importError("DuplicateTableName", `${name} is there twice`, source);
    }
    numbers.set(name, id);
  }
  return numbers;
}

/** What was exported before files were uniform described each table, and nobody reads that any more. */
async function readIsUniform(zip: ZipFile, file: string): Promise<boolean> {
  if (!zip.has(file)) return false;
  for await (const { text, line } of jsonLines(zip.read(file), file)) {
    if (text.trim() === uniformSchema) return true;
    throw importError("InvalidGeneratedSchema", `expected ${uniformSchema}`, `${file}:${line}`);
  }
  return false;
}

function storedFiles(zip: ZipFile, component: string): SourceTable {
  const prefix = `${componentFolder(component)}${storageFolder}/`;
  const byId = new Map<string, string>();
  for (const name of zip.names) {
    if (!name.startsWith(prefix)) continue;
    byId.set(name.slice(prefix.length).replace(/\..*$/, ""), name);
  }
  return {
    component,
    name: storageFolder,
    number: undefined,
    documents: () => zipDocuments(zip, `${prefix}${documentsFile}`, false),
    fileBytes(id) {
      const name = byId.get(id);
      return name === undefined ? undefined : zip.read(name);
    },
  };
}

async function* zipDocuments(
  zip: ZipFile,
  file: string,
  isUniform: boolean,
): AsyncGenerator<SourceDocument> {
  if (zip.has(file)) yield* jsonDocuments(jsonLines(zip.read(file), file), file, isUniform);
}

async function* jsonDocuments(
  texts: AsyncIterable<LocatedText>,
  file: string,
  isUniform: boolean,
): AsyncGenerator<SourceDocument> {
  for await (const { text, line } of texts) {
    const source = `${file}:${line}`;
    const value = at(source, "JsonInvalidRow", () => parseText(text, isUniform));
    if (!isValueObject(value)) throw importError("JsonInvalidRow", "expected an object", source);
    yield { fields: value, source };
  }
}

async function* csvDocuments(
  path: string,
  file: string,
  isOptional: (field: string) => boolean,
): AsyncGenerator<SourceDocument> {
  for await (const { fields, line } of csvRows(fileBytes(path), file, isOptional)) {
    yield { fields, source: `${file}:${line}` };
  }
}

async function* fileBytes(path: string): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  for (;;) {
    const buffer = new Uint8Array(64 * 1024);
    const count = await file.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

function checkTableName(name: string): void {
  const problem = name.startsWith("_")
    ? "names that begin with an underscore are those of system tables"
    : identifierProblem(name);
  if (problem === null) return;
  throw importError("InvalidName", `${JSON.stringify(name)} is no name of a table: ${problem}`);
}
