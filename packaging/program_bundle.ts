/**
 * The program's modules as few files of JavaScript: a start reads some dozens of files instead of hundreds, and
 * compiles none from TypeScript. Nothing is renamed but what would collide, so stack traces stay readable.
 */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { build, type Plugin, stop } from "esbuild";
import { nodeModule, programModules } from "../src/program_files.ts";
import { nodeVersionMin } from "../src/isolate/node_installations.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

/** Packages that hold programs or native code: they stay as they are, see program_folder.ts. */
const unbundled = ["esbuild", "usearch"];

/** Writes the modules into `folder`. Resolves with the folders of the packages whose code went into them. */
export async function bundleProgram(folder: string): Promise<string[]> {
  try {
    const common = { bundle: true, format: "esm", metafile: true, logLevel: "warning" } as const;
    const program = await build({
      ...common,
      absWorkingDir: root,
      entryPoints: ["main.ts", ...Object.values(programModules)],
      outbase: root,
      outdir: folder,
      // As deep as src/program_files.ts, which may end up in one of them.
      chunkNames: "src/[name]-[hash]",
      splitting: true,
      platform: "node",
      conditions: ["deno"],
      target: "esnext",
      external: unbundled,
      plugins: [requiredNodeModules],
    });
    const node = await build({
      ...common,
      absWorkingDir: root,
      entryPoints: [nodeModule],
      outfile: join(folder, nodeModule.replace(/\.ts$/, ".js")),
      platform: "node",
      target: `node${nodeVersionMin}`,
    });
    const inputs = [program, node].flatMap(({ metafile }) => Object.keys(metafile.inputs));
    return [...new Set(inputs.flatMap((path) => packageFolder(path) ?? []))].sort();
  } finally {
    await stop();
  }
}

/** CommonJS packages get modules of Node.js by an import: there is no `require` in an ES module. */
const requiredNodeModules: Plugin = {
  name: "required-node-modules",
  setup(build) {
    const namespace = "required-node-module";
    build.onResolve(
      { filter: /^(node:)?(util|fs|path|os)$/ },
      ({ path, kind }) =>
        kind === "require-call" ? { path: path.replace(/^node:/, ""), namespace } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace }, ({ path }) => ({
      contents: `export * from "node:${path}";`,
    }));
  },
};

function packageFolder(path: string): string | undefined {
  const match = /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path);
  return match === null ? undefined : join(root, match[0]);
}
