/**
 * The key that opens the admin API: `NAME|SECRET`, where NAME is the instance's (deploy-protocol 2.5).
 * The secret part is opaque; nobody but the server that made it can verify it.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";

/** A new key from 32 random bytes. */
export function makeAdminKey(instanceName: string, randomBytes: Uint8Array): string {
  return `${instanceName}|${Buffer.from(randomBytes).toString("hex")}`;
}

/** The instance a key is for; undefined when it names none. */
export function instanceNameOf(key: string): string | undefined {
  const bar = key.indexOf("|");
  return bar <= 0 ? undefined : key.slice(0, bar).replace(/^[^:]*:/, "");
}

/** A credential as it stands after `Convex `: the key and, after a colon, the user to act as. */
export interface AdminCredential {
  readonly key: string;
  /** Base64 of a JSON object (http-api 20). */
  readonly actingAs: string | null;
}

/**
 * Splits a credential. Deployment types in front of the name are dropped: `prod:NAME|SECRET` is
 * `NAME|SECRET`, and of `preview:TEAM:PROJECT|SECRET` only the secret counts (http-api 19).
 */
export function parseAdminCredential(text: string): AdminCredential {
  const withoutType = dropDeploymentType(text);
  const colon = withoutType.indexOf(":");
  if (colon < 0) return { key: withoutType, actingAs: null };
  return { key: withoutType.slice(0, colon), actingAs: withoutType.slice(colon + 1) };
}

function dropDeploymentType(text: string): string {
  const bar = text.indexOf("|");
  const colon = text.indexOf(":");
  if (colon < 0 || bar < colon) return text;
  const type = text.slice(0, colon);
  return text.slice((type === "preview" || type === "project" ? bar : colon) + 1);
}

/** Compares keys in a time that depends on neither. A key without a name is compared by its secret. */
export class AdminKeyVerifier {
  readonly #whole: Buffer;
  readonly #secret: Buffer;

  constructor(adminKey: string) {
    const key = dropDeploymentType(adminKey);
    this.#whole = digest(key);
    this.#secret = digest(key.slice(key.indexOf("|") + 1));
  }

  /** Whether `key`, as `parseAdminCredential` gives it, is this instance's. */
  matches(key: string): boolean {
    return timingSafeEqual(digest(key), key.includes("|") ? this.#whole : this.#secret);
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
