/**
 * The files of pushed modules, in `<data>/modules/`. Names come from content, so a file never changes: a
 * push that fails leaves nothing behind but files that nobody refers to, and those are collected.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { onDisk } from "../persistence/on_disk.ts";
import { syncFolder } from "../persistence/sync_folder.ts";
import { type BundledModule, hashModule } from "./bundled_module.ts";
import type { PushedModule } from "./deployment.ts";
import { modulesFolder } from "./live_deployment.ts";
import { buildModuleFactory } from "./module_factory.ts";

/** Part of the names of factory files: must change whenever `buildModuleFactory` writes something else. */
const factoryVersion = 2;

export class ModuleStore {
  readonly #folder: string;
  /** Tells files apart that are being written. */
  #writes = 0;

  constructor(dataFolder: string) {
    this.#folder = modulesFolder(dataFolder);
  }

  /** Writes what is missing of a module. It survives a crash from the next `keep` on. */
  async save(module: BundledModule): Promise<PushedModule> {
    const { path, environment } = module;
    const hash = hashModule(module);
    const sourceFile = `${hash}.source.json`;
    const isNode = environment === "node";
    // What imports of a module refer to depends on its path.
    const key = createHash("sha256").update(`${environment}:${path}:${hash}`).digest("hex");
    const file = isNode ? `${key}.mjs` : `${key}.factory${factoryVersion}`;
    await Deno.mkdir(this.#folder, { recursive: true });
    await this.#writeOnce(sourceFile, () => JSON.stringify(withoutPath(module)));
    await this.#writeOnce(file, () => isNode ? withInlineMap(module) : buildModuleFactory(module));
    return { path, environment, hash, file, sourceFile };
  }

  /** Makes what was saved before durable: one flush for all modules of a push. */
  async keep(): Promise<void> {
    await syncFolder(this.#folder);
    await syncFolder(dirname(this.#folder));
  }

  /** Bytes of the modules' files together. */
  async sizeOf(modules: readonly PushedModule[]): Promise<number> {
    const files = await Promise.all(modules.map(({ file }) => Deno.stat(this.#pathOf(file))));
    return files.reduce((sum, { size }) => sum + size, 0);
  }

  /** Deletes every file that `isNeeded` does not claim. */
  async collect(isNeeded: (file: string) => boolean): Promise<void> {
    await Deno.mkdir(this.#folder, { recursive: true });
    for await (const { name } of Deno.readDir(this.#folder)) {
      if (!isNeeded(name)) await Deno.remove(this.#pathOf(name));
    }
  }

  #pathOf(file: string): string {
    return join(this.#folder, file);
  }

  async #writeOnce(name: string, text: () => string | Promise<string>): Promise<void> {
    const path = this.#pathOf(name);
    if (await exists(path)) return;
    const contents = await text();
    // A reader or a crash must never meet half a file.
    const unfinished = `${path}.${this.#writes++}.unfinished`;
    try {
      await onDisk(unfinished, async () => {
        await using file = await open(unfinished, "w");
        await file.writeFile(contents);
        await file.datasync();
      });
      await Deno.rename(unfinished, path);
    } catch (error) {
      // A full disk has room for nothing.
      await Deno.remove(unfinished).catch(() => {});
      throw error;
    }
  }
}

/** A Node module carries its source map with it, for the stacks of its errors. */
function withInlineMap({ source, sourceMap }: BundledModule): string {
  if (sourceMap === undefined) return source;
  const code = source.replace(/\n\/\/# sourceMappingURL=[^\n]*\s*$/, "");
  const encoded = Buffer.from(sourceMap).toString("base64");
  return `${code}\n//# sourceMappingURL=data:application/json;base64,${encoded}\n`;
}

function withoutPath({ source, sourceMap }: BundledModule) {
  return { source, sourceMap };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
