/** The files of `templates/app/`: the only place that opens them. */
import { join } from "node:path";
import { programFolder } from "../src/program_files.ts";

export interface TemplateFile {
  /** In the app's folder. */
  readonly path: string;
  readonly text: string;
}

/** Under their own names, these would count for this repository, too. */
const dotFiles = new Set(["gitignore", "env.example"]);

/** In the order in which they are to be written: a server that waits for an app takes it when there is a `convex/`. */
export async function readTemplate(): Promise<readonly TemplateFile[]> {
  const root = join(programFolder(), "templates/app");
  const files = await Array.fromAsync(walk(root, ""));
  const isFunctions = ({ path }: TemplateFile) => Number(path.startsWith("convex/"));
  return files.sort((a, b) => isFunctions(a) - isFunctions(b) || (a.path < b.path ? -1 : 1));
}

async function* walk(root: string, folder: string): AsyncGenerator<TemplateFile> {
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    const path = `${folder}${name}`;
    if (isDirectory) {
      yield* walk(root, `${path}/`);
    } else {
      const text = await Deno.readTextFile(join(root, path));
      yield { path: dotFiles.has(path) ? `.${path}` : path, text };
    }
  }
}
