/**
 * A binary index key whose byte order is the total order of values (semantics 6). Held as a string with
 * one character (0–255) a byte: such strings compare like memcmp with `<`, hash, and cross process
 * boundaries in JSON; `keyToBytes` makes the BLOB that SQLite stores.
 */
export type IndexKey = string & { readonly brand: "IndexKey" };
