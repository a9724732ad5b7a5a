/** Reads JSON that user code made with an `export()` of its own making, perhaps. */

/** The value of the text; undefined, which no expected shape admits, when it is no JSON. */
export function parseExported(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
