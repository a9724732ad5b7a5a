/**
 * Lays the whole program out in a folder, for a target: what `src/program_files.ts` finds its parts in.
 *
 *     deno.json             how Deno runs it
 *     main.js, src/, runtime/   the program's modules, bundled
 *     node_modules/         what cannot be bundled, or is handed on: convex, esbuild, usearch
 *     examples/, templates/ assets
 *     licenses/             of everybody whose work is in it
 */
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { bundleProgram } from "./program_bundle.ts";
import { installPackages, packageVersions } from "./target_packages.ts";
import type { Target } from "./targets.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

/** Folders of the repository that go in as they are. */
const assetFolders = ["examples", "templates"];

const projectSchema = z.object({ unstable: z.array(z.string()) });

/** Fills `folder`, which must be empty. */
export async function layOutProgram(folder: string, target: Target): Promise<void> {
  const packages = await bundleProgram(folder);
  await writeDenoConfig(folder);
  await copyTargetPackages(folder, target);
  for (const name of assetFolders) await copyAssets(join(root, name), join(folder, name));
  await copyLicenses(packages, join(folder, "licenses"));
  await Deno.copyFile(join(root, "LICENSE"), join(folder, "LICENSE"));
}

async function writeDenoConfig(folder: string): Promise<void> {
  const project = projectSchema.parse(JSON.parse(await Deno.readTextFile(join(root, "deno.json"))));
  const config = { unstable: project.unstable, nodeModulesDir: "manual", lock: false };
  await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(config, null, 2) + "\n");
}

/**
 * Which files of a package go in; paths are relative to the package. Of convex: what bundlers, editors and pages
 * without a bundler read. Its own command line is not part of Hull's. Of esbuild the native program, 4.5 MiB packed:
 * as WebAssembly it would be 3.6, and a push would take seconds instead of a tenth of one.
 */
function packageFiles({ esbuildPackage, usearchPrebuild }: Target): Record<string, RegExp> {
  return {
    "convex":
      /^(package\.json|LICENSE.*|dist\/browser\.bundle\.js|dist\/esm(-types)?\/(?!cli\/|bundler\/|.*\.d\.ts\.map).*|(browser|nextjs|react|react-auth0|react-clerk|server|values)\/package\.json)$/,
    "esbuild": /^(package\.json|LICENSE.*|lib\/main\.js)$/,
    [esbuildPackage]: /^(package\.json|bin\/esbuild|esbuild\.exe)$/,
    "usearch": new RegExp(
      `^(package\\.json|LICENSE.*|javascript/dist/esm/.*\\.js(on)?|prebuilds/${
        RegExp.escape(usearchPrebuild)
      }/.*)$`,
    ),
    "node-gyp-build": /^(package\.json|LICENSE.*|[\w-]+\.js)$/,
    "bindings": /^(package\.json|LICENSE.*|bindings\.js)$/,
    "file-uri-to-path": /^(package\.json|LICENSE.*|index\.js)$/,
  };
}

async function copyTargetPackages(folder: string, target: Target): Promise<void> {
  const names = ["convex", "esbuild", "usearch"];
  const installed = await installPackages(await packageVersions(names), target);
  try {
    for (const [name, files] of Object.entries(packageFiles(target))) {
      const from = join(installed.folder, name);
      const copied = await copyFiles(from, join(folder, "node_modules", name), files);
      if (copied < 2) throw new Error(`${name} has no files that match ${files}`);
    }
  } finally {
    await installed.remove();
  }
}

/** Resolves with how many files it copied. */
async function copyFiles(from: string, to: string, matching: RegExp): Promise<number> {
  const paths = (await filesBelow(from)).filter((path) => matching.test(path));
  for (const path of paths) {
    await Deno.mkdir(dirname(join(to, path)), { recursive: true });
    await Deno.copyFile(join(from, path), join(to, path));
  }
  return paths.length;
}

/** Nothing that a tool generated there, or that git does not know either. */
async function copyAssets(from: string, to: string): Promise<void> {
  const isThere = await Deno.stat(from).then(() => true, () => false);
  if (isThere) await copyFiles(from, to, /^(?!(.*\/)?(_generated|node_modules|\.hull)\/)/);
}

async function copyLicenses(packages: readonly string[], to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for (const folder of packages) {
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    const license = names.find((name) => /^(licen[cs]e|copying)/i.test(name));
    if (license === undefined) throw new Error(`${folder} has no license to ship`);
    await Deno.copyFile(join(folder, license), join(to, `${basename(folder)}.txt`));
  }
}

/** The paths of all files below `folder`, relative to it and with forward slashes, in order. */
export async function filesBelow(folder: string, prefix = ""): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(folder, prefix))) {
    if (isDirectory) paths.push(...await filesBelow(folder, `${prefix}${name}/`));
    else paths.push(prefix + name);
  }
  return paths.sort();
}
