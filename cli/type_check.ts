/**
 * Type checks of an app with the TypeScript that the app has installed. Hull itself has none inside: what runs is what
 * esbuild makes of the files, which needs no types.
 */
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { AppError, type AppFolder, readTextIfExists } from "../src/deploy/app_folder.ts";
import type { TypecheckMode } from "./options.ts";
import { showsColours, withProgress } from "./terminal.ts";

/** Why types are not checked, for the developer. */
export class TypeCheckUnavailable extends AppError {
  override name = "TypeCheckUnavailable";
}

/** What TypeScript found, with code frames, as it prints them; empty when types are right. */
export async function findTypeErrors(app: AppFolder, signal?: AbortSignal): Promise<string> {
  const compiler = await findCompiler(app.functionsPath);
  if (compiler === undefined) {
    throw new TypeCheckUnavailable(
      "Types are not checked: TypeScript is not installed in the app. `npm install --save-dev typescript` adds it; " +
        "--typecheck disable ends this message.",
    );
  }
  if (await readTextIfExists(join(app.functionsPath, "tsconfig.json")) === undefined) {
    throw new TypeCheckUnavailable(
      `Types are not checked: there is no ${join(app.functionsPath, "tsconfig.json")}. ` +
        "`hull init` in the app's folder adds one.",
    );
  }
  return await run(compiler, app, signal);
}

async function run(compiler: string, app: AppFolder, signal?: AbortSignal): Promise<string> {
  const command = new Deno.Command("node", {
    args: [compiler, "--noEmit", "--pretty", "--project", app.functionsPath],
    cwd: app.path,
    stdin: "null",
    ...signal && { signal },
  });
  try {
    const { success, stdout, stderr } = await command.output();
    if (success) return "";
    const [output, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    const text = `${output}${complaint}`.trimEnd() || "TypeScript failed and did not say why.";
    return showsColours(Deno.stderr) ? text : stripVTControlCharacters(text);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new TypeCheckUnavailable(
      "Types are not checked: TypeScript needs Node.js, and there is no `node` on the PATH.",
    );
  }
}

/** The compiler nearest to the functions, as Node.js would find it; undefined without one. */
export async function findCompiler(from: string): Promise<string | undefined> {
  for (let folder = from;; folder = dirname(folder)) {
    const path = join(folder, "node_modules/typescript/bin/tsc");
    if (await readTextIfExists(path) !== undefined) return path;
    if (folder === dirname(folder)) return undefined;
  }
}

/**
 * For a push that is made once. An app without TypeScript is right, too, unless `mode` is `enable`.
 * @throws AppError when types are wrong, or cannot be checked although they must.
 */
export async function mustHaveRightTypes(app: AppFolder, mode: TypecheckMode): Promise<void> {
  if (mode === "disable") return;
  let errors: string;
  try {
    errors = await withProgress("Checking types", () => findTypeErrors(app));
  } catch (error) {
    if (mode === "try" && error instanceof TypeCheckUnavailable) return;
    throw error;
  }
  if (errors === "") return;
  throw new AppError(
    `${errors}\n\nTypes are wrong, so nothing was pushed. --typecheck disable pushes all the same.`,
  );
}
