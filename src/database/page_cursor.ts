/**
 * Cursors of paginated queries: the same for the same position, bound to the query they came from, and
 * sealed (function-abi 6): nobody can make one up, nor read the key in it, which may be that of a document
 * that a filter kept from the client.
 *
 * The construction is that of AES-SIV (RFC 5297) from parts that every runtime has: a signature of query and
 * key comes first and is the counter block under which the key is encrypted.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  timingSafeEqual,
} from "node:crypto";
import { DeveloperError } from "../errors.ts";
import { bytesToKey, encodeKeyValue, type IndexKey, keyToBytes } from "../values/index_key.ts";
import type { Value } from "../values/value.ts";
import { appComponent, type ComponentId } from "./component.ts";
import type { Query } from "./query.ts";

/** Behind the document with this index key, or at the end of the query. */
export type PagePosition = { readonly after: IndexKey } | "end";

const signatureBytes = 16;
const cipher = "aes-256-ctr";
/** A key is never empty, so an empty one stands for the end. */
const endKey = new Uint8Array(0);

export class PageCursors {
  readonly #signingKey: Uint8Array;
  readonly #encryptionKey: Uint8Array;
  readonly #fingerprint: Uint8Array;

  /** For one query of one component; `indexFields` because a cursor means nothing once its index is another. */
  constructor(
    secret: string,
    component: ComponentId,
    query: Query,
    indexFields: readonly string[],
  ) {
    const keys = createHmac("sha512", secret).update("page cursors").digest();
    this.#signingKey = keys.subarray(0, 32);
    this.#encryptionKey = keys.subarray(32);
    // Cursors of the app are as they were before there were components.
    const source = [query, indexFields, ...component === appComponent ? [] : [component]];
    this.#fingerprint = createHash("sha256")
      .update(JSON.stringify(source, encodeLiterals)).digest();
  }

  encode(position: PagePosition): string {
    const key = position === "end" ? endKey : keyToBytes(position.after);
    const cursor = new Uint8Array(signatureBytes + key.length);
    const signature = this.#sign(key);
    cursor.set(signature);
    cursor.set(createCipheriv(cipher, this.#encryptionKey, signature).update(key), signatureBytes);
    return cursor.toBase64({ alphabet: "base64url", omitPadding: true });
  }

  /** @throws DeveloperError when this is no cursor of this query; clients then begin again at the first page. */
  decode(text: string): PagePosition {
    const cursor = parseBase64(text);
    if (cursor.length < signatureBytes) throw invalidCursor();
    const signature = cursor.subarray(0, signatureBytes);
    const key = createDecipheriv(cipher, this.#encryptionKey, signature)
      .update(cursor.subarray(signatureBytes));
    if (!timingSafeEqual(signature, this.#sign(key))) throw invalidCursor();
    return key.length === 0 ? "end" : { after: bytesToKey(key) };
  }

  /** The query's fingerprint is part of what is signed, not of the cursor. */
  #sign(key: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#signingKey).update(this.#fingerprint).update(key)
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
