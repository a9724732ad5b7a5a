/** What bundling for Hull does differently from plain esbuild. Used by `folder_bundler.ts` alone. */
import type { Plugin } from "esbuild";
import { Buffer } from "node:buffer";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";

/** Isolates offer `AsyncLocalStorage` and `AsyncResource` as globals instead of a Node module. */
export const asyncHooksShim: Plugin = virtualModule(
  "async-hooks-shim",
  /^(?:node:)?async_hooks$/,
  `export const { AsyncLocalStorage, AsyncResource } = globalThis;
export default { AsyncLocalStorage, AsyncResource };`,
);

/** Next.js marks server code by an import of `server-only`, which exists in its own builds only. */
export const serverOnlyStub: Plugin = virtualModule("server-only-stub", /^server-only$/, "");

function virtualModule(name: string, filter: RegExp, contents: string): Plugin {
  return {
    name,
    setup(build) {
      build.onResolve({ filter }, ({ path }) => ({ path, namespace: name }));
      build.onLoad({ filter: /.*/, namespace: name }, () => ({ contents, loader: "js" }));
    },
  };
}

/** `import wasm from "./x.wasm"` gives a `WebAssembly.Module` whose bytes lie in the bundle. */
export const wasmAsModule: Plugin = {
  name: "wasm-module",
  setup(build) {
    build.onResolve({ filter: /\.wasm$/ }, ({ path, namespace, resolveDir }) => {
      if (namespace === "wasm-module") return { path, namespace: "wasm-binary" };
      if (resolveDir === "") return undefined;
      return { path: isAbsolute(path) ? path : join(resolveDir, path), namespace: "wasm-module" };
    });
    build.onLoad({ filter: /.*/, namespace: "wasm-module" }, ({ path }) => ({
      contents: `import bytes from ${JSON.stringify(path)};
export default new WebAssembly.Module(bytes);`,
    }));
    build.onLoad({ filter: /.*/, namespace: "wasm-binary" }, async ({ path }) => ({
      contents: await Deno.readFile(path),
      loader: "binary",
    }));
  },
};

/** Resolves `convex/…` from the copy that comes with Hull, for apps that installed none. */
export function embeddedConvex(folder: string): Plugin {
  const alreadyHere = Symbol();
  return {
    name: "embedded-convex",
    setup(build) {
      build.onResolve({ filter: /^convex(?:\/|$)/ }, ({ path, kind, pluginData }) => {
        if (pluginData === alreadyHere) return undefined;
        return build.resolve(path, { kind, resolveDir: folder, pluginData: alreadyHere });
      });
    },
  };
}

/** An import, from an isolate module's code, of a file that begins with `"use node"`. */
export interface NodeImport {
  readonly importer: string;
  readonly imported: string;
}

/** Collects into `found` who imports the Node entry points `nodePaths`. */
export function findNodeImports(nodePaths: readonly string[], found: NodeImport[]): Plugin {
  const withoutExtension = (path: string) => path.replace(/\.[^./\\]+$/, "");
  const nodeFiles = new Map(nodePaths.map((path) => [withoutExtension(path), path]));
  return {
    name: "node-imports",
    setup(build) {
      build.onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir, importer }) => {
        const imported = nodeFiles.get(withoutExtension(resolve(resolveDir, path)));
        if (imported !== undefined) found.push({ importer, imported });
        return undefined;
      });
    },
  };
}

/** An import of a component's definition by another one, or by the app's. */
export interface ComponentImport {
  /** As written. */
  readonly specifier: string;
  /** Absolute: the folder of the component. */
  readonly folder: string;
  /** The folder as seen from the app's functions, `/`-separated: what the server calls the definition. */
  readonly definitionPath: string;
}

/** Leaves other definitions out of one, for the server to supply (components 2.1), and collects them into `found`. */
export function componentImports(functionsPath: string, found: ComponentImport[]): Plugin {
  const alreadyHere = Symbol();
  return {
    name: "components",
    setup(build) {
      build.onResolve(
        { filter: /convex\.config/ },
        async ({ path, kind, resolveDir, pluginData }) => {
          if (kind === "entry-point" || pluginData === alreadyHere) return undefined;
          const resolved = await build.resolve(path, { kind, resolveDir, pluginData: alreadyHere });
          // esbuild says better itself that it finds nothing.
          if (resolved.errors.length > 0) return undefined;
          if (!/^convex\.config\.[jt]s$/.test(basename(resolved.path))) return undefined;
          const folder = dirname(resolved.path);
          if (folder === functionsPath) {
            return {
              errors: [{
                text: `"${path}" is the app's own definition, which no component can use.`,
              }],
            };
          }
          const definitionPath = relative(functionsPath, folder).replaceAll("\\", "/");
          if (!found.some((each) => each.specifier === path)) {
            found.push({ specifier: path, folder, definitionPath });
          }
          const encoded = Buffer.from(definitionPath).toString("base64url");
          return { path: `./_componentDeps/${encoded}`, external: true };
        },
      );
    },
  };
}
