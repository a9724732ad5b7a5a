/**
 * Where the program's own parts lie: the modules that its threads and processes start with, packages that it hands on,
 * and folders of assets. A packed program (packaging/) keeps them where the repository has them, below one folder;
 * only its modules are JavaScript, several files in one.
 */
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);

/** Whether the program was packed: then nothing is left to bundle or to look up in a cache. */
export const isPacked = import.meta.url.endsWith(".js");

/** Modules that a thread or a process starts with, and this one, which has to know where it is. */
export const programModules = {
  programFiles: "src/program_files.ts",
  committer: "src/committer/worker.ts",
  databaseCopy: "src/persistence/database_copy_worker.ts",
  vectorSearch: "src/vector_search/worker.ts",
  executor: "runtime/main.ts",
  hostWorker: "runtime/host_worker.ts",
  isolate: "runtime/isolate.ts",
} as const;

/** What Node.js processes run; packed, it is a bundle of its own without imports. */
export const nodeModule = "runtime/node/main.ts";

/** The URL of a module of the program, to start a thread with or, as a file, a process. */
export function moduleUrl(name: keyof typeof programModules): URL {
  return programUrl(programModules[name]);
}

/** The absolute path of `nodeModule`. */
export function nodeModulePath(): string {
  return fileURLToPath(programUrl(nodeModule));
}

/** The absolute path of the folder with all of the program, which isolates may read. Ends with a slash. */
export function programFolder(): string {
  return fileURLToPath(root);
}

/** The absolute path of the package `convex` that comes with the program. */
export function convexPackageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.resolve("convex/server")));
  while (basename(folder) !== "convex") folder = dirname(folder);
  return folder;
}

function programUrl(path: string): URL {
  return new URL(isPacked ? path.replace(/\.ts$/, ".js") : path, root);
}
