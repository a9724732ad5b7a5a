/**
 * Bundles a folder of functions, the app's or a component's, as the deploy API expects it (deploy-protocol 3.4): one
 * ES module a file, code that several files share in chunks, isolate and Node modules apart. The options are those
 * of the official CLI, so that either tool pushes the same modules.
 */
import type { BuildFailure, BuildOptions, BuildResult, Message } from "esbuild";
import { join, relative, resolve } from "node:path";
import { AppError, type AppFolder } from "./app_folder.ts";
import {
  asyncHooksShim,
  type ComponentImport,
  componentImports,
  embeddedConvex,
  findNodeImports,
  type NodeImport,
  serverOnlyStub,
  wasmAsModule,
} from "./bundle_plugins.ts";
import { checkBundleSize, type InputSizes, inputSizes } from "./bundle_size.ts";
import type { BundledModule } from "./bundled_module.ts";
import type { NodeDependency } from "./deployment.ts";
import { findEntryPoints, leftOutForSpaces, misplacedCronJobs } from "./entry_points.ts";
import { ExternalImports } from "./external_imports.ts";
import { ImportChains } from "./import_chains.ts";

export interface FolderBundle {
  /** Modules of functions, their shared chunks, and auth.config.js. */
  readonly modules: readonly BundledModule[];
  readonly schema: BundledModule | null;
  /** convex.config.js; made up when the folder has none. */
  readonly definition: BundledModule;
  /** The components whose definitions this one imports. */
  readonly imports: readonly ComponentImport[];
  /** External packages of the Node modules. */
  readonly nodeDependencies: readonly NodeDependency[];
  /** Absolute paths of the files that went in. */
  readonly inputs: readonly string[];
  readonly warnings: readonly string[];
}

export interface BundleOptions {
  /** Say by which imports isolate modules came to one of Node.js: takes longer. */
  readonly tracesNodeApis?: boolean;
  /** Let it be larger than what may be pushed. */
  readonly mayBeTooLarge?: boolean;
}

interface Build {
  readonly modules: readonly BundledModule[];
  readonly inputs: readonly string[];
  readonly sizes: InputSizes;
  readonly warnings: readonly string[];
}

const noBuild: Build = { modules: [], inputs: [], sizes: new Map(), warnings: [] };

export interface FolderBundlerOptions extends BundleOptions {
  readonly app: AppFolder;
  /** Absolute. */
  readonly folder: string;
  readonly esbuild: typeof import("esbuild");
}

export class FolderBundler {
  readonly app: AppFolder;
  readonly folder: string;
  readonly esbuild: typeof import("esbuild");
  readonly options: BundleOptions;

  constructor({ app, folder, esbuild, ...options }: FolderBundlerOptions) {
    this.app = app;
    this.folder = folder;
    this.esbuild = esbuild;
    this.options = options;
  }

  /** @throws AppError whose message shows file, line and code frame of each mistake. */
  async bundle(): Promise<FolderBundle> {
    const entryPoints = await findEntryPoints(this.folder);
    const [isolatePaths, nodePaths] = (["isolate", "node"] as const).map((environment) =>
      entryPoints.filter((entry) => entry.environment === environment)
        .map((entry) => join(this.folder, entry.path))
    ) as [string[], string[]];
    if (nodePaths.length > 0 && !this.#isApp) {
      throw new AppError(
        `${
          nodePaths[0]
        } begins with "use node", which components may not use. Let the app do that and pass the component a function handle.`,
      );
    }

    const externals = await ExternalImports.of(this.app);
    const imports: ComponentImport[] = [];
    const builds = await Promise.all([
      this.#buildDefinition(imports),
      this.#buildSingle("schema"),
      this.#buildIsolateModules(isolatePaths, nodePaths),
      this.#buildNodeModules(nodePaths, externals),
      this.#isApp ? this.#buildSingle("auth.config") : noBuild,
    ]);
    const [definition, schema, functions, node, authConfig] = builds;
    const modules = [functions, node, authConfig].flatMap((build) => build.modules);
    if (!this.options.mayBeTooLarge) {
      checkBundleSize(modules, [functions, node, authConfig].map((build) => build.sizes));
    }
    return {
      modules,
      schema: schema.modules[0] ?? null,
      definition: { ...definition.modules[0]!, path: "convex.config.js" },
      imports,
      nodeDependencies: await externals.dependencies(),
      inputs: [...new Set([...builds.flatMap((build) => build.inputs), ...externals.inputs])],
      warnings: [
        ...await leftOutForSpaces(this.folder),
        ...await misplacedCronJobs(this.folder, entryPoints),
        ...builds.flatMap((build) => build.warnings),
      ],
    };
  }

  /** The components that the folder's definition imports, without bundling more than that. */
  async findImports(): Promise<ComponentImport[]> {
    const imports: ComponentImport[] = [];
    await this.#buildDefinition(imports);
    return imports;
  }

  get #isApp(): boolean {
    return this.folder === this.app.functionsPath;
  }

  async #buildDefinition(imports: ComponentImport[]): Promise<Build> {
    const file = this.#find("convex.config");
    return await this.#build({
      ...file === undefined ? this.#emptyDefinition() : { entryPoints: [file] },
      minify: true,
      plugins: [componentImports(this.app.functionsPath, imports)],
    });
  }

  #emptyDefinition(): BuildOptions {
    return {
      stdin: {
        contents: `import { defineApp } from "convex/server";\nexport default defineApp();\n`,
        resolveDir: this.folder,
        sourcefile: "convex.config.js",
      },
    };
  }

  async #buildSingle(name: "schema" | "auth.config"): Promise<Build> {
    const file = this.#find(name);
    return await this.#build({ entryPoints: file === undefined ? [] : [file] });
  }

  async #buildIsolateModules(entryPoints: string[], nodePaths: string[]): Promise<Build> {
    const nodeImports: NodeImport[] = [];
    const options: BuildOptions = {
      entryPoints,
      splitting: true,
      chunkNames: "_deps/[hash]",
      plugins: nodePaths.length === 0 ? [] : [findNodeImports(nodePaths, nodeImports)],
    };
    try {
      const build = await this.#build(options);
      return { ...build, warnings: [...build.warnings, ...this.#describe(nodeImports)] };
    } catch (error) {
      if (!(error instanceof AppError) || nodeImports.length === 0) throw error;
      throw new AppError([error.message, ...this.#describe(nodeImports)].join("\n"));
    }
  }

  #describe(imports: readonly NodeImport[]): string[] {
    const name = (file: string) => relative(this.app.path, file);
    return imports.map(({ importer, imported }) =>
      `${name(importer)} imports ${
        name(imported)
      }, which begins with "use node". Files without that directive should not import files with it: move what both need to a third file.`
    );
  }

  #buildNodeModules(entryPoints: string[], externals: ExternalImports): Promise<Build> {
    return this.#build({
      entryPoints,
      platform: "node",
      splitting: true,
      chunkNames: "_deps/node/[hash]",
      plugins: [externals.plugin],
    });
  }

  #find(name: string): string | undefined {
    const files = [".ts", ".js"].map((extension) => join(this.folder, name + extension))
      .filter(fileExists);
    if (files.length > 1) {
      throw new AppError(`Found both ${files.join(" and ")}; keep one of them.`);
    }
    return files[0];
  }

  async #build(options: BuildOptions): Promise<Build> {
    if (Array.isArray(options.entryPoints) && options.entryPoints.length === 0) {
      return noBuild;
    }
    const platform = options.platform ?? "browser";
    const plugins = [serverOnlyStub, ...options.plugins ?? [], wasmAsModule];
    if (platform === "browser") plugins.unshift(asyncHooksShim);
    const { folder, isEmbedded } = this.app.convexPackage;
    if (isEmbedded) plugins.push(embeddedConvex(folder));
    const chains = this.options.tracesNodeApis && platform === "browser"
      ? new ImportChains()
      : null;
    if (chains !== null) plugins.unshift(chains.plugin);
    let result: BuildResult<{ write: false; metafile: true }>;
    try {
      result = await this.esbuild.build({
        bundle: true,
        platform,
        format: "esm",
        target: "esnext",
        jsx: "automatic",
        absWorkingDir: this.app.path,
        outdir: "out",
        outbase: this.folder,
        conditions: ["convex", "module"],
        sourcemap: true,
        sourcesContent: false,
        minifySyntax: true,
        minifyIdentifiers: true,
        keepNames: true,
        define: { "process.env.NODE_ENV": '"production"' },
        logLevel: "silent",
        ...options,
        plugins,
        write: false,
        metafile: true,
      });
    } catch (error) {
      if (!isBuildFailure(error)) throw error;
      throw await this.#buildError(error.errors, platform, chains);
    }
    return {
      modules: this.#modulesOf(result, platform),
      inputs: this.#inputsOf(result),
      sizes: inputSizes(result.metafile.outputs),
      warnings: await this.#render(result.warnings, "warning"),
    };
  }

  #modulesOf(result: BuildResult<{ write: false }>, platform: string): BundledModule[] {
    const texts = new Map(
      result.outputFiles.map((file) => [this.#outputPath(file.path), file.text]),
    );
    const environment = platform === "node" ? "node" : "isolate";
    return [...texts].filter(([path]) => !path.endsWith(".map")).map(([path, source]) => {
      const sourceMap = texts.get(`${path}.map`);
      return { path, source, ...sourceMap !== undefined && { sourceMap }, environment };
    });
  }

  #outputPath(file: string): string {
    return relative(join(this.app.path, "out"), file).replaceAll("\\", "/");
  }

  #inputsOf(result: BuildResult<{ metafile: true }>): string[] {
    return Object.keys(result.metafile.inputs)
      .map((input) => input.replace(/^wasm-binary:/, ""))
      // What plugins and stdin made up has no file.
      .filter((input) => !/^[\w-]{2,}:/.test(input) && input !== "convex.config.js")
      .map((input) => resolve(this.app.path, input));
  }

  async #buildError(
    errors: Message[],
    platform: string,
    chains: ImportChains | null,
  ): Promise<AppError> {
    const texts = await this.#render(errors.map(withAdvice), "error");
    const nodeErrors = platform === "node"
      ? []
      : errors.filter((error) =>
        error.notes.some((note) => note.text.includes("bundle for node?"))
      );
    if (nodeErrors.length > 0) {
      texts.push(
        `A file without the "use node" directive uses Node.js APIs. Move the actions that need them to a file of their own that begins with "use node", so that they run in Node.js.`,
        ...chains === null
          ? ["Run this again with --debug-node-apis to see which imports lead there."]
          : nodeErrors.map((error) => this.#describeChain(error, chains)),
      );
    }
    if (errors.some((error) => error.text.includes('loader is configured for ".node" files'))) {
      texts.push(
        'A package with native code cannot be bundled. Name it in "node.externalPackages" of convex.json, and import it from files that begin with "use node".',
      );
    }
    return new AppError(texts.join("\n"));
  }

  /** `error` is that a module of Node.js could not be resolved. */
  #describeChain({ text, location }: Message, chains: ImportChains): string {
    const [, nodeModule = text] = /"(.*?)"/.exec(text) ?? [];
    const files = chains.chainTo(resolve(this.app.path, location?.file ?? ""));
    return ["These imports lead there:", ...files.map((file) => relative(this.app.path, file))]
      .join("\n  ") + `\n  ${nodeModule}`;
  }

  async #render(messages: Message[], kind: "error" | "warning"): Promise<string[]> {
    const texts = await this.esbuild.formatMessages(messages, { kind, color: false });
    return texts.map((text) => text.trimEnd());
  }
}

/** esbuild's advice on what it cannot find is to leave it out, which nothing that is pushed can do without. */
function withAdvice(message: Message): Message {
  const notes = message.notes.filter(({ text }) => !text.startsWith("You can mark the path"));
  if (notes.length === message.notes.length) return message;
  const [, packageName] = /^Could not resolve "((?:@[\w.-]+\/)?\w[\w.-]*)/.exec(message.text) ?? [];
  if (packageName !== undefined) {
    const text =
      `If this is an npm package, install it in the app's folder: npm install ${packageName}`;
    notes.push({ text, location: null });
  }
  return { ...message, notes };
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && "errors" in error && "warnings" in error;
}

function fileExists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
