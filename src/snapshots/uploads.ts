/** Files that arrive in parts: each a file in `<folder>/TOKEN/`, until `finish` puts them one after the other. */
import { Buffer } from "node:buffer";
import { join } from "node:path";
import type { Environment } from "../environment.ts";
import { importError } from "./import_error.ts";
import { appendTo, removeIfThere } from "./snapshot_files.ts";

/** As many as the command line sends at most (deploy-protocol 10). */
const partsMax = 10_000;

export class Uploads {
  readonly #folder: string;
  readonly #environment: Environment;

  constructor(folder: string, environment: Environment) {
    this.#folder = folder;
    this.#environment = environment;
  }

  /** Removes what nobody will finish: the tokens of an earlier run of the server. */
  async recover(): Promise<void> {
    await removeIfThere(this.#folder);
  }

  async start(): Promise<string> {
    const token = Buffer.from(this.#environment.randomBytes(16)).toString("hex");
    await Deno.mkdir(join(this.#folder, token), { recursive: true });
    return token;
  }

  /** Receives a part and returns what `finish` wants to know it by. A part that is sent again replaces itself. */
  async addPart(token: string, part: number, chunks: AsyncIterable<Uint8Array>): Promise<string> {
    const folder = await this.#folderOf(token);
    if (!Number.isSafeInteger(part) || part < 1 || part > partsMax) {
      throw importError("InvalidPartNumber", `partNumber must be between 1 and ${partsMax}`);
    }
    // Parts that arrive at the same time under the same number must not mix.
    const name = `${part}-${Buffer.from(this.#environment.randomBytes(8)).toString("hex")}`;
    try {
      await appendTo(join(folder, name), chunks);
    } catch (error) {
      await removeIfThere(join(folder, name));
      throw error;
    }
    return name;
  }

  /** Removes what arrived of an upload that nobody will finish. */
  async discard(token: string): Promise<void> {
    await removeIfThere(join(this.#folder, token));
  }

  /**
   * Writes the parts in this order to `path`, on disk.
   * @throws RequestError when that is not possible; then the upload has to start again.
   */
  async finish(token: string, parts: readonly string[], path: string): Promise<void> {
    const folder = await this.#folderOf(token);
    const known = new Set(
      (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name),
    );
    const missing = parts.find((part) => !known.has(part));
    if (missing !== undefined) {
      throw importError("InvalidPartToken", `There is no part ${JSON.stringify(missing)}.`);
    }
    if (new Set(parts).size < parts.length) {
      throw importError("InvalidPartToken", "A part is named twice.");
    }
    // Who asks a second time, meanwhile, finds no such upload.
    const taken = `${folder}.taken`;
    await Deno.rename(folder, taken);
    try {
      // An empty file has no parts.
      await appendTo(path, []);
      for (const part of parts) {
        await appendTo(path, (await Deno.open(join(taken, part))).readable);
        await Deno.remove(join(taken, part));
      }
    } catch (error) {
      await removeIfThere(path);
      throw error;
    } finally {
      await removeIfThere(taken);
    }
  }

  async #folderOf(token: string): Promise<string> {
    const folder = join(this.#folder, token);
    const isKnown = /^[0-9a-f]{32}$/.test(token) &&
      await Deno.stat(folder).then(() => true, () => false);
    if (isKnown) return folder;
    throw importError("InvalidUploadToken", "The upload is unknown. Start it again.");
  }
}
