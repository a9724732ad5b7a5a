/** By which imports a file came into a bundle. */
import type { Plugin } from "esbuild";

export class ImportChains {
  /** Who imported a file first. */
  readonly #importers = new Map<string, string>();

  /** Notes who imports whom. Resolves everything twice, so it is for looking into a failure only. */
  get plugin(): Plugin {
    const alreadyHere = Symbol();
    return {
      name: "import-chains",
      setup: (build) => {
        build.onResolve({ filter: /.*/ }, async ({ path, ...how }) => {
          if (how.pluginData !== undefined || how.importer === "") return undefined;
          const resolved = await build.resolve(path, { ...how, pluginData: alreadyHere });
          if (resolved.errors.length === 0 && !this.#importers.has(resolved.path)) {
            this.#importers.set(resolved.path, how.importer);
          }
          return undefined;
        });
      },
    };
  }

  /** From a file that nobody imports, or that is its own importer's importer, to `file`. */
  chainTo(file: string): string[] {
    const chain = [file];
    for (;;) {
      const importer = this.#importers.get(chain[0]!);
      if (importer === undefined || chain.includes(importer)) return chain;
      chain.unshift(importer);
    }
  }
}
