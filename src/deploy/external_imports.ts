/**
 * External packages as the bundler sees them (deploy-protocol 3.4): which imports of Node modules it leaves alone, and
 * which versions of them the server has to install.
 */
import type { Plugin } from "esbuild";
import { dirname, join } from "node:path";
import { AppError, type AppFolder, readTextIfExists } from "./app_folder.ts";
import type { NodeDependency } from "./deployment.ts";

interface PackageManifest {
  readonly version?: unknown;
  readonly dependencies?: Record<string, unknown>;
  readonly devDependencies?: Record<string, unknown>;
  readonly peerDependencies?: Record<string, unknown>;
  readonly optionalDependencies?: Record<string, unknown>;
}

/** Versions that stand for files or addresses, which no server can install. */
const unregistered = /^(file:|link:|workspace:|portal:|git(\+|:)|https?:)/;

export class ExternalImports {
  readonly #app: AppFolder;
  /** Folders in the app's `node_modules` of packages that may be external, by name. */
  readonly #candidates: ReadonlyMap<string, string>;
  readonly #imported = new Set<string>();

  private constructor(app: AppFolder, candidates: ReadonlyMap<string, string>) {
    this.#app = app;
    this.#candidates = candidates;
  }

  /** @throws AppError when a package that `convex.json` names is not installed. */
  static async of(app: AppFolder): Promise<ExternalImports> {
    const candidates = new Map<string, string>();
    if (app.externalPackages.length === 0) return new ExternalImports(app, candidates);
    const wanted = new Set(app.externalPackages);
    const manifest = await readManifest(app.path);
    const versions = Object.entries({
      ...manifest?.optionalDependencies,
      ...manifest?.peerDependencies,
      ...manifest?.devDependencies,
      ...manifest?.dependencies,
    });
    for (const [name, version] of versions) {
      if (name === "convex" || !(wanted.has(name) || wanted.has("*"))) continue;
      if (typeof version !== "string" || unregistered.test(version)) continue;
      const folder = join(app.path, "node_modules", name);
      if (await readManifest(folder) !== undefined) candidates.set(name, folder);
    }
    for (const name of wanted) {
      const isBundled = versions.some(([listed]) => listed === name) || name === "*" ||
        name === "convex";
      if (isBundled) continue;
      throw new AppError(
        `convex.json names "${name}" in node.externalPackages, but package.json does not: run npm install ${name}, or remove it.`,
      );
    }
    for (const [name] of versions) {
      if (!wanted.has(name) || candidates.has(name) || name === "convex") continue;
      if (await readManifest(join(app.path, "node_modules", name)) !== undefined) continue;
      throw new AppError(
        `convex.json names "${name}" in node.externalPackages, but it is not in node_modules: run npm install.`,
      );
    }
    return new ExternalImports(app, candidates);
  }

  /** Leaves imports of them as they are, unless another copy lies nearer to who imports it. */
  get plugin(): Plugin {
    return {
      name: "external-packages",
      setup: (build) => {
        if (this.#candidates.size === 0) return;
        build.onResolve({ filter: /^[^./]/, namespace: "file" }, async ({ path, resolveDir }) => {
          const name = packageName(path);
          const folder = this.#candidates.get(name);
          if (folder === undefined || await nearestCopy(name, resolveDir) !== folder) {
            return undefined;
          }
          this.#imported.add(name);
          return { path, external: true };
        });
      },
    };
  }

  /** Those that were imported, and what they want beside them, with the versions that the app has installed. */
  async dependencies(): Promise<NodeDependency[]> {
    const found = new Map<string, string>();
    const names = [...this.#imported];
    for (const name of names) {
      if (found.has(name)) continue;
      const manifest = await readManifest(this.#candidates.get(name)!);
      if (typeof manifest?.version !== "string") {
        throw new AppError(`The package.json of ${name} in node_modules has no version.`);
      }
      found.set(name, manifest.version);
      const beside = { ...manifest.peerDependencies, ...manifest.optionalDependencies };
      names.push(...Object.keys(beside).filter((other) => this.#candidates.has(other)));
    }
    return [...found].map(([name, version]) => ({ name, version }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Files whose change means another version. */
  get inputs(): string[] {
    if (this.#app.externalPackages.length === 0) return [];
    const manifests = [...this.#imported].map((name) =>
      join(this.#candidates.get(name)!, "package.json")
    );
    return [join(this.#app.path, "package.json"), ...manifests];
  }
}

/** `@scope/name` or `name` of an import, without the path behind it. */
function packageName(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** Where Node.js would find the package. */
async function nearestCopy(name: string, from: string): Promise<string | undefined> {
  for (let folder = from;; folder = dirname(folder)) {
    const copy = join(folder, "node_modules", name);
    if (await readManifest(copy) !== undefined) return copy;
    if (folder === dirname(folder)) return undefined;
  }
}

async function readManifest(folder: string): Promise<PackageManifest | undefined> {
  const file = join(folder, "package.json");
  const text = await readTextIfExists(file);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError(`${file} is not valid JSON.`, { cause: error });
  }
}
