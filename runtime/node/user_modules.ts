/** The modules of the deployment that this process serves: importing them, and stacks that name their sources. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type { DeploymentManifest } from "../../src/isolate/protocol.ts";
import { HostFailure } from "../failure.ts";
import { SourceMap } from "../source_map.ts";
import { StackTraces } from "../stack_traces.ts";

/** How src/deploy/module_store.ts ends a module that has a source map. */
const inlineMap = /\n\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/;

export class UserModules {
  readonly #read: (path: string) => string;
  /** File URLs, by module path. */
  readonly #urls = new Map<string, string>();
  readonly #paths = new Map<string, string>();
  readonly #stackTraces = new StackTraces();
  /** Files whose source map has been looked for. */
  readonly #mapped = new Set<string>();

  constructor(read: (path: string) => string) {
    this.#read = read;
  }

  load({ modules }: DeploymentManifest): void {
    for (const { path, file } of modules) {
      // A CommonJS package that was bundled into an ES module asks for Node's own modules through this global.
      Object.assign(globalThis, { require: createRequire(file) });
      const url = pathToFileURL(file).href;
      this.#urls.set(path, url);
      this.#paths.set(url, file);
    }
  }

  async import(path: string): Promise<Readonly<Record<string, unknown>>> {
    const url = this.#urls.get(path);
    if (url === undefined) throw new HostFailure(`Couldn't find module source for ${path}`);
    return await import(url);
  }

  /** Makes `error.stack` name the original sources of user code, and leave out everything else. */
  installStackTraces(): void {
    Error.prepareStackTrace = (error, sites) => {
      for (const site of sites) this.#loadMap(site.getFileName() ?? "");
      const frames = this.#stackTraces.render(sites as Parameters<StackTraces["render"]>[0]);
      return frames === "" ? `${error}` : `${error}\n${frames}`;
    };
  }

  #loadMap(url: string): void {
    const path = this.#paths.get(url);
    if (path === undefined || this.#mapped.has(url)) return;
    this.#mapped.add(url);
    this.#stackTraces.add(url, new SourceMap(() => this.#readMap(path)));
  }

  #readMap(path: string): string | null {
    const encoded = inlineMap.exec(this.#read(path))?.[1];
    if (encoded === undefined) return null;
    const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
    return new TextDecoder().decode(bytes);
  }
}
