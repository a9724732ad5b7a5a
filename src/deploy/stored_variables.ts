/**
 * Environment variables as they lie in the database: one record, encrypted with AES-256-GCM under a key that is
 * derived from a secret outside of it. So neither the database's file nor a backup gives them away.
 *
 * There may be an older secret besides the one in use, left from before the operator chose another: what it opens is
 * encrypted anew at the next start.
 */
import { Buffer } from "node:buffer";
import type { CommitterClient } from "../committer/protocol.ts";
import type { Environment } from "../environment.ts";
import { log } from "../logger.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { recordKeys } from "./deployment.ts";
import type { EnvironmentVariables } from "./environment_variables.ts";

export interface StoredVariablesOptions {
  readonly committer: Pick<CommitterClient, "changeCatalog">;
  readonly environment: Pick<Environment, "randomBytes">;
  /** The one in use first. */
  readonly secrets: readonly [string, ...string[]];
  /** Go on without variables that no secret opens, instead of failing. */
  readonly discardsLost: boolean;
}

/** A record to be written; null removes it. */
export interface RecordChange {
  readonly key: string;
  readonly json: string | null;
}

const algorithm = "AES-GCM";
const ivBytes = 12;
/** The key is good for nothing else, and the text under it for no other record. */
const purpose = new TextEncoder().encode("Hull environment variables");

/** Both in base64. */
interface Encrypted {
  readonly iv: string;
  readonly ciphertext: string;
}

export class StoredVariables {
  readonly #options: StoredVariablesOptions;
  readonly #keys: Promise<CryptoKey[]>;

  constructor(options: StoredVariablesOptions) {
    this.#options = options;
    this.#keys = Promise.all(options.secrets.map(deriveKey));
  }

  /**
   * The variables as an earlier run of the server left them; encrypts them under the secret in use if they are not.
   * @throws Error that says what to do when no secret opens them.
   */
  async load(reader: Pick<SnapshotReader, "getRecord">): Promise<EnvironmentVariables> {
    const json = reader.getRecord(recordKeys.encryptedVariables);
    if (json !== undefined) return await this.#open(JSON.parse(json) as Encrypted);
    const plain = reader.getRecord(recordKeys.environmentVariables);
    if (plain === undefined) return {};
    const variables = JSON.parse(plain) as EnvironmentVariables;
    await this.#store(variables);
    return variables;
  }

  /** What to write for these variables. */
  async records(variables: EnvironmentVariables): Promise<readonly RecordChange[]> {
    const iv = Uint8Array.from(this.#options.environment.randomBytes(ivBytes));
    const text = new TextEncoder().encode(JSON.stringify(variables));
    const [key] = await this.#keys;
    const ciphertext = await crypto.subtle.encrypt(parameters(iv), key!, text);
    const encrypted: Encrypted = { iv: base64(iv), ciphertext: base64(new Uint8Array(ciphertext)) };
    return [
      { key: recordKeys.encryptedVariables, json: JSON.stringify(encrypted) },
      // Of versions that did not encrypt.
      { key: recordKeys.environmentVariables, json: null },
    ];
  }

  async #store(variables: EnvironmentVariables): Promise<void> {
    await this.#options.committer.changeCatalog({ records: await this.records(variables) });
  }

  async #open({ iv, ciphertext }: Encrypted): Promise<EnvironmentVariables> {
    const keys = await this.#keys;
    for (const key of keys) {
      const text = await decrypt(key, bytesOf(iv), bytesOf(ciphertext));
      if (text === null) continue;
      const variables = JSON.parse(text) as EnvironmentVariables;
      if (key !== keys[0]) await this.#store(variables);
      return variables;
    }
    if (this.#options.discardsLost) {
      log("warn", "The environment variables, whose key is lost, were discarded");
      await this.#store({});
      return {};
    }
    throw new Error(
      "The environment variables are encrypted under another key. Put the file encryption_key of the data folder " +
        "they come from into this one, or start the server with the HULL_ENCRYPTION_KEY that was set there. If " +
        "that key is lost, `--discard-env` starts the server without them.",
    );
  }
}

/** Null when the key is another one. */
async function decrypt(
  key: CryptoKey,
  iv: Uint8Array<ArrayBuffer>,
  ciphertext: Uint8Array<ArrayBuffer>,
): Promise<string | null> {
  try {
    return new TextDecoder().decode(
      await crypto.subtle.decrypt(parameters(iv), key, ciphertext),
    );
  } catch (error) {
    if (error instanceof DOMException && error.name === "OperationError") return null;
    throw error;
  }
}

async function deriveKey(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  const base = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey"]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: purpose };
  const type = { name: algorithm, length: 256 };
  return await crypto.subtle.deriveKey(derivation, base, type, false, ["encrypt", "decrypt"]);
}

function parameters(iv: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: algorithm, iv, additionalData: purpose };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(text, "base64"));
}
