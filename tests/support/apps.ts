/** Apps for tests: copied to a temporary folder, so that a push generates nothing inside the repository. */
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface AppOptions {
  /** npm packages of the repository that the app may import; `convex` is embedded in the program. */
  readonly packages?: readonly string[];
  /** More files, by path inside the app; they replace those of the fixture. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Copies `source` (a path inside the repository) and returns the new folder. The caller removes it. */
export async function copyApp(source: string, options: AppOptions = {}): Promise<string> {
  const folder = await makeApp(options);
  await copyFolder(`${root}${source}`, folder, options.files ?? {});
  return folder;
}

/** Copies `source` (a path inside the repository) over what the app has already. */
export async function addToApp(folder: string, source: string): Promise<void> {
  await copyFolder(`${root}${source}`, folder, {});
}

/** Makes an app of the given files alone and returns its folder. The caller removes it. */
export async function makeApp(options: AppOptions): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "hull-app-" });
  for (const [path, text] of Object.entries(options.files ?? {})) {
    await writeAppFile(folder, path, text);
  }
  for (const name of options.packages ?? []) {
    const link = `${folder}/node_modules/${name}`;
    await Deno.mkdir(link.slice(0, link.lastIndexOf("/")), { recursive: true });
    await Deno.symlink(await Deno.realPath(`${root}node_modules/${name}`), link);
  }
  return folder;
}

/** The same as an app that `npx convex` takes for one: with a `package.json` and the package itself. */
export function makeConvexApp(files: Readonly<Record<string, string>>): Promise<string> {
  const manifest = JSON.stringify({ dependencies: { convex: "*" } });
  return makeApp({ packages: ["convex"], files: { "package.json": manifest, ...files } });
}

/** Writes one file of an app, with its folders. */
export async function writeAppFile(folder: string, path: string, text: string): Promise<void> {
  const file = `${folder}/${path}`;
  await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(file, text);
}

async function copyFolder(
  from: string,
  to: string,
  replaced: Readonly<Record<string, string>>,
  prefix = "",
): Promise<void> {
  for await (const entry of Deno.readDir(from)) {
    if (entry.name === "_generated" || entry.name === "node_modules") continue;
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory) {
      await copyFolder(`${from}/${entry.name}`, to, replaced, `${path}/`);
    } else if (!(path in replaced)) {
      await writeAppFile(to, path, await Deno.readTextFile(`${from}/${entry.name}`));
    }
  }
}
