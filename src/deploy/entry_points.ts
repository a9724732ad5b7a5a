/** Which files of a functions folder become modules, and in which runtime (deploy-protocol 3.4). */
import { join } from "node:path";
import { AppError } from "./app_folder.ts";

export interface EntryPoint {
  /** Relative to the functions folder, `/`-separated, as on disk. */
  readonly path: string;
  readonly environment: "isolate" | "node";
}

const scriptExtension = /\.(?:js|mjs|cjs|ts|tsx|mts|cts|jsx)$/;
const typeScriptExtension = /\.tsx?$/;
const isolateOnly = new Set(["http", "crons", "schema", "auth.config"]);

/**
 * Lists the entry points of `functionsPath` in a stable order.
 * @throws AppError for files that may not lie where they are.
 */
export async function findEntryPoints(functionsPath: string): Promise<EntryPoint[]> {
  const found = new Map<string, EntryPoint>();
  for (const path of await listFiles(functionsPath, "")) {
    if (!isModuleName(path)) continue;
    const source = await Deno.readTextFile(join(functionsPath, path));
    // TypeScript treats a file without import or export as a script, not a module.
    if (typeScriptExtension.test(path) && !/^\s{0,100}(?:import|export)/m.test(source)) continue;
    const name = moduleName(path);
    const twin = found.get(name);
    if (twin !== undefined) {
      throw new AppError(
        `${twin.path} and ${path} would both be the module ${name}. Rename or remove one of them.`,
      );
    }
    found.set(name, { path, environment: environmentOf(path, source) });
  }
  return [...found.values()];
}

/** Warns of files that are left out only because there is a space in their path (deploy-protocol 3.4). */
export async function leftOutForSpaces(functionsPath: string): Promise<string[]> {
  return (await listFiles(functionsPath, ""))
    .filter((path) => path.includes(" ") && isModuleName(path.replaceAll(" ", "_")))
    .map((path) => `${path} is left out, because there is a space in its name.`);
}

/**
 * Warns of a file that defines cron jobs where nobody looks for them: only `crons.ts` is asked for them
 * (function-abi 21.3), and it may take them from elsewhere.
 */
export async function misplacedCronJobs(
  functionsPath: string,
  entryPoints: readonly EntryPoint[],
): Promise<string[]> {
  if (entryPoints.some(({ path }) => moduleName(path) === "crons")) return [];
  const warnings: string[] = [];
  for (const { path } of entryPoints) {
    if (!/^cron[-_]?(jobs?)?$/i.test(moduleName(path))) continue;
    const source = await Deno.readTextFile(join(functionsPath, path));
    if (!/\bcronJobs\b/.test(source)) continue;
    warnings.push(`${path} defines cron jobs that do not run: name it crons.ts.`);
  }
  return warnings;
}

function moduleName(path: string): string {
  return path.replace(/\.[^/.]+$/, "");
}

async function listFiles(root: string, prefix: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(join(root, prefix)));
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  const files: string[] = [];
  for (const entry of entries) {
    const path = prefix + entry.name;
    if (entry.isFile) files.push(path);
    else if (entry.isDirectory && !await isComponent(join(root, path))) {
      files.push(...await listFiles(root, `${path}/`));
    }
  }
  return files;
}

/** A subfolder that defines a component is not part of the app. */
async function isComponent(folder: string): Promise<boolean> {
  try {
    await Deno.stat(join(folder, "convex.config.ts"));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function isModuleName(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (!scriptExtension.test(path) || path.startsWith("_generated/")) return false;
  if (path.startsWith("_deps/")) {
    throw new AppError(
      `${path} is in the folder _deps, which is reserved for shared chunks. Move it elsewhere.`,
    );
  }
  // Names with a second dot are configuration (`auth.config.ts`) or tests (`a.test.ts`).
  if (/^[.#]/.test(name) || name.split(".").length > 2 || path.includes(" ")) return false;
  return name !== "schema.ts" && name !== "schema.js";
}

function environmentOf(path: string, source: string): EntryPoint["environment"] {
  if (hasUseNodeDirective(source)) {
    if (isolateOnly.has(moduleName(path))) {
      throw new AppError(`"use node" directive is not allowed for ${path}.`);
    }
    return "node";
  }
  if (path.startsWith("actions/")) {
    throw new AppError(
      `${path} is in the folder actions but does not begin with "use node". Add the directive if it needs Node.js, or move the file to another folder.`,
    );
  }
  return "isolate";
}

const blankOrComment = /(?:\s+|\/\/[^\n]*|\/\*[^]*?\*\/)*/y;
const directive = /(?:"([^"\\\n]*)"|'([^'\\\n]*)')[^\S\n]*(?:;|(?=\/[/*])|(?=[\n}])|$)/y;

/** True if `"use node"` is among the directives that a module begins with. */
export function hasUseNodeDirective(source: string): boolean {
  if (!source.includes("use node")) return false;
  let position = source.startsWith("#!") ? (source.indexOf("\n") + 1 || source.length) : 0;
  for (;;) {
    blankOrComment.lastIndex = position;
    blankOrComment.exec(source);
    directive.lastIndex = blankOrComment.lastIndex;
    const match = directive.exec(source);
    if (match === null) return false;
    if ((match[1] ?? match[2]) === "use node") return true;
    position = directive.lastIndex;
  }
}
