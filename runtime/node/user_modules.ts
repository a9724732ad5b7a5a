/** The modules of the deployment that this process serves: importing them, and where their code came from. */
import { Buffer } from "node:buffer";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type { DeploymentManifest, ModuleEntry } from "../../src/isolate/protocol.ts";
import { HostFailure } from "../failure.ts";
import type { PositionedModule } from "../function_positions.ts";
import { SourceMap } from "../source_map.ts";
import { StackTraces } from "../stack_traces.ts";

/** How src/deploy/module_store.ts ends a module that has a source map. */
const inlineMap = /\n\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/;

export class UserModules {
  readonly #read: (file: string) => string;
  /** By module path. */
  readonly #modules = new Map<string, ModuleEntry>();
  /** Of files, by their URL. */
  readonly #maps = new Map<string, SourceMap>();
  readonly #stackTraces = new StackTraces();

  constructor(read: (file: string) => string) {
    this.#read = read;
  }

  load({ modules }: DeploymentManifest): void {
    for (const module of modules) {
      const { path, file } = module;
      // A CommonJS package that was bundled into an ES module asks for Node's own modules through this global.
      Object.assign(globalThis, { require: createRequire(file) });
      this.#modules.set(path, module);
      const url = pathToFileURL(file).href;
      const map = new SourceMap(path, () => this.#readMap(file));
      this.#maps.set(url, map);
      this.#stackTraces.add(url, map);
    }
  }

  async import(path: string): Promise<Readonly<Record<string, unknown>>> {
    return await import(pathToFileURL(this.#mustGet(path).file).href);
  }

  /** The code of a module, and of the chunks that it may share with others. */
  text(path: string): PositionedModule {
    const chunks = [...this.#modules.keys()].filter((each) => each.startsWith("_deps/"));
    return { ...this.#textOf(path), imports: chunks.map((chunk) => this.#textOf(chunk)) };
  }

  /** Makes `error.stack` name the original sources of user code, and leave out everything else. */
  installStackTraces(): void {
    Error.prepareStackTrace = (error, sites) => {
      const frames = this.#stackTraces.render(sites as Parameters<StackTraces["render"]>[0]);
      return frames === "" ? `${error}` : `${error}\n${frames}`;
    };
  }

  #mustGet(path: string): ModuleEntry {
    const module = this.#modules.get(path);
    if (module === undefined) throw new HostFailure(`Couldn't find module source for ${path}`);
    return module;
  }

  #textOf(path: string): PositionedModule {
    const { file } = this.#mustGet(path);
    const sourceMap = this.#maps.get(pathToFileURL(file).href)!;
    return { path, factory: { script: this.#read(file) }, sourceMap, imports: [] };
  }

  #readMap(file: string): string | null {
    const encoded = inlineMap.exec(this.#read(file))?.[1];
    return encoded === undefined ? null : Buffer.from(encoded, "base64").toString("utf8");
  }
}
