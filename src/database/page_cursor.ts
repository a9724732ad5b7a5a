/**
 * Cursors of paginated queries: opaque to clients, the same for the same position, bound to the query they
 * came from, and signed so that nobody can make one up (function-abi 6).
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { DeveloperError } from "../errors.ts";
import { bytesToKey, encodeKeyValue, type IndexKey, keyToBytes } from "../values/index_key.ts";
import type { Value } from "../values/value.ts";
import type { Query } from "./query.ts";

/** Behind the document with this index key, or at the end of the query. */
export type PagePosition = { readonly after: IndexKey } | "end";

const signatureBytes = 16;
/** A key is never empty, so an empty one stands for the end. */
const endKey = new Uint8Array(0);

export class PageCursors {
  readonly #secret: string;
  readonly #fingerprint: Uint8Array;

  /** For one query; `indexFields` because a cursor means nothing once its index is another. */
  constructor(secret: string, query: Query, indexFields: readonly string[]) {
    this.#secret = secret;
    this.#fingerprint = createHash("sha256")
      .update(JSON.stringify([query, indexFields], encodeLiterals)).digest();
  }

  encode(position: PagePosition): string {
    const key = position === "end" ? endKey : keyToBytes(position.after);
    const cursor = new Uint8Array(signatureBytes + key.length);
    cursor.set(this.#sign(key));
    cursor.set(key, signatureBytes);
    return cursor.toBase64({ alphabet: "base64url", omitPadding: true });
  }

  /** @throws DeveloperError when this is no cursor of this query; clients then begin again at the first page. */
  decode(text: string): PagePosition {
    const cursor = parseBase64(text);
    const key = cursor.subarray(signatureBytes);
    const genuine = cursor.length >= signatureBytes &&
      timingSafeEqual(cursor.subarray(0, signatureBytes), this.#sign(key));
    if (!genuine) throw invalidCursor();
    return key.length === 0 ? "end" : { after: bytesToKey(key) };
  }

  /** The query's fingerprint is part of what is signed, not of the cursor. */
  #sign(key: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#secret).update(this.#fingerprint).update(key)
      .digest().subarray(0, signatureBytes);
  }
}

function encodeLiterals(name: string, value: unknown): unknown {
  const holdsValue = name === "value" || name === "$literal";
  return holdsValue ? encodeKeyValue(value as Value | undefined) : value;
}

function parseBase64(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    throw invalidCursor();
  }
}

function invalidCursor(): DeveloperError {
  return new DeveloperError(
    "InvalidCursor",
    "InvalidCursor: Tried to run a query starting from a cursor, but it looks like this cursor is from a different query.",
    { isConvexSystemError: true, paginationError: "InvalidCursor" },
  );
}
