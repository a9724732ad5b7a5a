/** Documents in the rows of a CSV file, whose first row names the fields (deploy-protocol 10). */
import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import type { Value, ValueObject } from "../values/value.ts";
import { importError } from "./import_error.ts";
import { textLengthMax } from "./json_documents.ts";

export interface CsvRow {
  readonly fields: ValueObject;
  /** The line it ends in, from 1. */
  readonly line: number;
}

/** A number as people and programs write it. `NaN` and `Infinity` are words. */
const number = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** @param isOptional Whether an empty cell of a field means that there is none, instead of an empty text. */
export async function* csvRows(
  chunks: AsyncIterable<Uint8Array>,
  file: string,
  isOptional: (field: string) => boolean,
): AsyncGenerator<CsvRow> {
  const parser = Readable.from(chunks).compose(
    parse({
      bom: true,
      info: true,
      skip_empty_lines: true,
      relax_column_count: true,
      // A quotation mark that nothing ends would take all the rest into memory.
      max_record_size: textLengthMax,
    }),
  ) as AsyncIterable<{ record: string[]; info: { lines: number } }>;
  let names: readonly string[] | undefined;
  try {
    for await (const { record, info: { lines: line } } of parser) {
      if (names === undefined) {
        names = headerNames(record, file);
        continue;
      }
      if (record.length !== names.length) {
        throw importError(
          "CsvInvalidRow",
          `the row has ${record.length} cells, and the first row names ${names.length}`,
          `${file}:${line}`,
        );
      }
      yield { fields: fieldsOf(names, record, isOptional), line };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw importError("CsvInvalidRow", error.message, file);
  }
  if (names === undefined) throw missingHeaders(file);
}

function headerNames(record: readonly string[], file: string): readonly string[] {
  const names = record.map((name) => name.trim());
  if (names.some((name) => name === "")) throw missingHeaders(file);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return names;
  throw importError(
    "CsvInvalidHeaders",
    `the first row names ${JSON.stringify(twice)} twice`,
    file,
  );
}

function missingHeaders(file: string) {
  return importError("CsvMissingHeaders", "the first row must name the field of each column", file);
}

function fieldsOf(
  names: readonly string[],
  cells: readonly string[],
  isOptional: (field: string) => boolean,
): ValueObject {
  const isThere = (name: string, cell: string) => cell !== "" || !isOptional(name);
  return Object.fromEntries(
    names.map((name, i) => [name, cells[i]!] as const)
      .filter(([name, cell]) => isThere(name, cell))
      .map(([name, cell]) => [name, cellValue(cell)]),
  );
}

function cellValue(cell: string): Value {
  return number.test(cell.trim()) ? Number(cell) : cell;
}
