/** The tables and documents in an uploaded file, whatever its format (deploy-protocol 10). */
import { identifierProblem } from "../values/limits.ts";
import type { ValueObject } from "../values/value.ts";
import { isValueObject } from "../values/value.ts";
import { csvRows } from "./csv_documents.ts";
import { parseText, uniformSchema } from "./document_text.ts";
import { at, importError } from "./import_error.ts";
import { jsonArray, jsonLines, type LocatedText } from "./json_documents.ts";
import {
  componentsFolder,
  documentsFile,
  schemaFile,
  storageFolder,
  tablesFolder,
} from "./snapshot_layout.ts";
import { ZipFile } from "./zip_file.ts";

export type ImportFormat = "csv" | "jsonLines" | "jsonArray" | "zip";

export interface ImportSource extends AsyncDisposable {
  readonly tables: readonly SourceTable[];
  /** Stored files; null when the import has none. */
  readonly files: SourceFiles | null;
}

export interface SourceTable {
  readonly name: string;
  /** As the import says, if it does. */
  readonly number: number | undefined;
  documents(): AsyncIterable<SourceDocument>;
}

export interface SourceDocument {
  readonly fields: ValueObject;
  /** File and line. */
  readonly source: string;
}

export interface SourceFiles {
  /** What is known of them. */
  documents(): AsyncIterable<SourceDocument>;
  /** The bytes of the file with this id; undefined when the import does not hold them. */
  bytes(id: string): AsyncIterable<Uint8Array> | undefined;
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
    tables: [{ name, number: undefined, documents }],
    files: null,
    async [Symbol.asyncDispose]() {},
  };
}

/** The source in a ZIP. @throws RequestError when it has not the layout of an export. */
export async function openZip(path: string): Promise<ImportSource> {
  const zip = await ZipFile.open(path);
  try {
    const numbers = await readTableNumbers(zip);
    const names = new Set([...numbers.keys(), ...folders(zip)]);
    const tables: SourceTable[] = [];
    for (const name of names) {
      checkTableName(name);
      const isUniform = await readIsUniform(zip, name);
      tables.push({
        name,
        number: numbers.get(name),
        documents: () => zipDocuments(zip, `${name}/${documentsFile}`, isUniform),
      });
    }
    const files = storedFiles(zip);
    if (tables.length === 0 && files === null) {
      throw importError(
        "InvalidZip",
        `the ZIP holds no table. Those of an export have a file TABLE/${documentsFile} at its top.`,
      );
    }
    return { tables, files, [Symbol.asyncDispose]: () => zip[Symbol.asyncDispose]() };
  } catch (error) {
    await zip[Symbol.asyncDispose]();
    throw error;
  }
}

/** The folders with the documents of a table. */
function folders(zip: ZipFile): string[] {
  const found: string[] = [];
  for (const name of zip.names) {
    const [folder, file, more] = name.split("/");
    if (folder === componentsFolder && name.endsWith(`/${documentsFile}`)) {
      throw importError(
        "ComponentsNotSupported",
        `the ZIP holds data of components (${name}), which cannot be imported yet`,
      );
    }
    const isTable = more === undefined && file === documentsFile &&
      folder !== tablesFolder && folder !== storageFolder;
    if (isTable) found.push(folder!);
  }
  return found;
}

async function readTableNumbers(zip: ZipFile): Promise<Map<string, number>> {
  const numbers = new Map<string, number>();
  const file = `${tablesFolder}/${documentsFile}`;
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
async function readIsUniform(zip: ZipFile, table: string): Promise<boolean> {
  const file = `${table}/${schemaFile}`;
  if (!zip.has(file)) return false;
  for await (const { text, line } of jsonLines(zip.read(file), file)) {
    if (text.trim() === uniformSchema) return true;
    throw importError("InvalidGeneratedSchema", `expected ${uniformSchema}`, `${file}:${line}`);
  }
  return false;
}

function storedFiles(zip: ZipFile): SourceFiles | null {
  const file = `${storageFolder}/${documentsFile}`;
  if (!zip.has(file)) return null;
  const byId = new Map<string, string>();
  for (const name of zip.names) {
    const [folder, base, more] = name.split("/");
    if (folder === storageFolder && more === undefined) byId.set(base!.replace(/\..*$/, ""), name);
  }
  return {
    documents: () => zipDocuments(zip, file, false),
    bytes(id) {
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
