/** Tells when files of an app have changed. */
import { basename, dirname } from "node:path";
import type { Environment } from "../src/environment.ts";

/** Editors and checkouts write several files; after this silence they are done, in milliseconds. */
const quietMs = 60;

export class AppWatcher {
  readonly #functionsPath: string;
  readonly #environment: Environment;
  readonly #functions: Deno.FsWatcher;
  /** Files outside of the functions folder that count as well, and the watcher of their folders. */
  #otherFiles: ReadonlySet<string> = new Set();
  #others: Deno.FsWatcher | null = null;
  #cancelQuiet: () => void = () => {};
  #change = Promise.withResolvers<void>();

  constructor(functionsPath: string, environment: Environment) {
    this.#functionsPath = functionsPath;
    this.#environment = environment;
    this.#functions = Deno.watchFs(functionsPath, { recursive: true });
    this.#follow(this.#functions, (path) => isAppFile(path.slice(functionsPath.length + 1)));
  }

  /** Sets which files count that lie elsewhere. What packages hold does not change while one writes code. */
  setOtherFiles(files: readonly string[]): void {
    const others = files.filter((file) =>
      !file.startsWith(`${this.#functionsPath}/`) && !file.includes("/node_modules/")
    );
    const known = this.#otherFiles;
    if (others.length === known.size && others.every((file) => known.has(file))) return;
    this.#otherFiles = new Set(others);
    this.#others?.close();
    // A folder outlives editors that replace a file instead of writing into it.
    const folders = [...new Set(others.map((file) => dirname(file)))].filter(exists);
    this.#others = folders.length === 0 ? null : Deno.watchFs(folders, { recursive: false });
    if (this.#others !== null) {
      this.#follow(this.#others, (path) => this.#otherFiles.has(path));
    }
  }

  /** Resolves once files have changed since the last call resolved and it has been quiet for a moment. */
  async changed(): Promise<void> {
    await this.#change.promise;
    this.#change = Promise.withResolvers<void>();
  }

  close(): void {
    this.#cancelQuiet();
    this.#functions.close();
    this.#others?.close();
  }

  async #follow(watcher: Deno.FsWatcher, counts: (path: string) => boolean): Promise<void> {
    for await (const { kind, paths } of watcher) {
      if (kind === "access" || !paths.some(counts)) continue;
      this.#cancelQuiet();
      this.#cancelQuiet = this.#environment.setTimer(quietMs, () => this.#change.resolve());
    }
  }
}

/** `path` is relative to the functions folder. What Hull generates there and editors' temporary files do not count. */
function isAppFile(path: string): boolean {
  return !path.startsWith("_generated") && !/^[.#]|~$/.test(basename(path));
}

function exists(folder: string): boolean {
  try {
    return Deno.statSync(folder).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
