/** Where an app's functions lie and what its `convex.json` says. */
import { dirname, join, resolve } from "node:path";
import { assert } from "../assert.ts";
import { errorMessage } from "../errors.ts";
import { convexPackageFolder } from "../program_files.ts";

export interface AppFolder {
  /** Absolute: the folder with `convex.json`, `package.json` and the functions folder. */
  readonly path: string;
  /** Absolute: `<path>/convex` unless `convex.json` names another. */
  readonly functionsPath: string;
  /** The same as `convex.json` writes it, with a slash at its end. */
  readonly functions: string;
  /** `node.nodeVersion` of `convex.json`, else what `.nvmrc` asks for if it can be had; null: any. */
  readonly nodeVersion: string | null;
  /** `node.externalPackages` of `convex.json`. */
  readonly externalPackages: readonly string[];
  readonly convexPackage: ConvexPackage;
}

/** The `convex` npm package that user code is bundled with. */
export interface ConvexPackage {
  readonly version: string;
  readonly folder: string;
  /** True when the app has no copy of its own and uses the one that comes with Hull. */
  readonly isEmbedded: boolean;
}

/** The app at fault, not Hull; the message is for its developer. */
export class AppError extends Error {
  override name = "AppError";
}

/** There is no functions folder. */
export class NoAppError extends AppError {
  override name = "NoAppError";
}

/**
 * Reads what the app in `path` declares about itself.
 * @throws NoAppError when there is no functions folder, AppError when `convex.json` is not usable.
 */
export async function loadAppFolder(path: string): Promise<AppFolder> {
  const appPath = resolve(path);
  const settings = await readSettings(join(appPath, "convex.json"));
  const functions = settings.functions ?? "convex/";
  const functionsPath = resolve(appPath, functions);
  if (!await isDirectory(functionsPath)) {
    throw new NoAppError(
      `There is no folder ${functionsPath}. Create it and write your functions there (\`hull init\` makes an app), ` +
        "or name the app's folder with --app.",
    );
  }
  return {
    path: appPath,
    functionsPath,
    functions: functions.endsWith("/") ? functions : `${functions}/`,
    nodeVersion: settings.node?.nodeVersion ?? await readNvmrc(appPath),
    externalPackages: settings.node?.externalPackages ?? [],
    convexPackage: await findConvexPackage(functionsPath),
  };
}

/** Names of major versions in `.nvmrc`: lts/NAME. */
const longTermSupport: Readonly<Record<string, string>> = { iron: "20", jod: "22", krypton: "24" };

/**
 * The major version in `.nvmrc`, as far as Node actions run on it. That file is there for more than Hull, so another
 * wish is not an error.
 */
async function readNvmrc(appPath: string): Promise<string | null> {
  const wish = (await readTextIfExists(join(appPath, ".nvmrc")))?.trim().toLowerCase() ?? "";
  const name = /^lts\/(\w+)$/.exec(wish)?.[1];
  const major = name === undefined ? /^v?(\d+)(\.|$)/.exec(wish)?.[1] : longTermSupport[name];
  return Object.values(longTermSupport).find((known) => known === major) ?? null;
}

interface Settings {
  readonly functions?: string;
  readonly node?: { readonly nodeVersion?: string; readonly externalPackages?: readonly string[] };
}

async function readSettings(file: string): Promise<Settings> {
  const text = await readTextIfExists(file);
  if (text === undefined) return {};
  let settings: unknown;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    throw new AppError(`${file} is not valid JSON: ${errorMessage(error)}`);
  }
  const problem = settingsProblem(settings);
  if (problem !== undefined) throw new AppError(`${file}: ${problem}`);
  return settings as Settings;
}

function settingsProblem(settings: unknown): string | undefined {
  if (!isObject(settings)) return "expected an object";
  const { functions, node } = settings;
  if (functions !== undefined && typeof functions !== "string") {
    return '"functions" must be the path of a folder';
  }
  if (node === undefined) return undefined;
  if (!isObject(node)) return '"node" must be an object';
  const { nodeVersion, externalPackages } = node;
  if (nodeVersion !== undefined && typeof nodeVersion !== "string") {
    return '"node.nodeVersion" must be a string such as "22"';
  }
  const areNames = externalPackages === undefined ||
    Array.isArray(externalPackages) && externalPackages.every((name) => typeof name === "string");
  return areNames ? undefined : '"node.externalPackages" must be a list of package names';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function findConvexPackage(functionsPath: string): Promise<ConvexPackage> {
  for (let folder = functionsPath;; folder = dirname(folder)) {
    const found = await readConvexPackage(join(folder, "node_modules/convex"), false);
    if (found !== undefined) return found;
    if (folder === dirname(folder)) return await embeddedConvexPackage();
  }
}

/** The copy that comes with Hull. */
export async function embeddedConvexPackage(): Promise<ConvexPackage> {
  const embedded = await readConvexPackage(convexPackageFolder(), true);
  assert(embedded !== undefined, "the program contains the package convex");
  return embedded;
}

async function readConvexPackage(
  folder: string,
  isEmbedded: boolean,
): Promise<ConvexPackage | undefined> {
  const manifest = await readTextIfExists(join(folder, "package.json"));
  if (manifest === undefined) return undefined;
  const { version } = JSON.parse(manifest) as { version: string };
  return { version, folder, isEmbedded };
}

/** The text of `file`, or undefined if there is no such file. */
export async function readTextIfExists(file: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
