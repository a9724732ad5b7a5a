/** The code of one deployment inside an isolate: that of the app and that of its components. */
import { assert } from "../src/assert.ts";
import { appComponent, type ComponentId } from "../src/database/component.ts";
import { ComponentTree } from "../src/isolate/component_tree.ts";
import {
  type FunctionAddress,
  type FunctionTarget,
  handleNotFound,
  notExported,
  resolveAddress,
} from "../src/isolate/function_address.ts";
import { FunctionHandles } from "../src/isolate/function_handles.ts";
import type { DeploymentManifest } from "../src/isolate/protocol.ts";
import type { ExecutionOptions } from "./execution.ts";
import { keptCodeMax, ModuleLoader } from "./module_loader.ts";
import type { Realm } from "./realm.ts";
import type { StackTraces } from "./stack_traces.ts";

/** What functions of one component run with. */
export interface ComponentCode {
  readonly id: ComponentId;
  /** Names from the app downwards; empty for the app. */
  readonly path: string;
  /** Components of one definition share theirs. */
  readonly loader: ModuleLoader;
  /** Its arguments as JSON texts; null for the app, which has none. */
  readonly args: Readonly<Record<string, string>> | null;
  readonly environment: Pick<ExecutionOptions, "environmentVariables" | "variableSources">;
}

export class DeploymentCode {
  readonly manifest: DeploymentManifest;
  readonly #tree: ComponentTree;
  readonly #handles: FunctionHandles;
  readonly #loaders: ReadonlyMap<string, ModuleLoader>;
  readonly #components = new Map<ComponentId, ComponentCode>();

  constructor(manifest: DeploymentManifest, realm: Realm, stackTraces: StackTraces) {
    this.manifest = manifest;
    this.#tree = new ComponentTree(manifest.components);
    this.#handles = new FunctionHandles(manifest.fileStorageSecret ?? manifest.id);
    const loaders = new Map([[appDefinition, new ModuleLoader(manifest, realm, stackTraces)]]);
    for (const { definition, modules } of manifest.components ?? []) {
      if (loaders.has(definition)) continue;
      const part = { ...manifest, id: `${manifest.id}/${definition}`, modules };
      loaders.set(definition, new ModuleLoader(part, realm, stackTraces));
    }
    this.#loaders = loaders;
  }

  /** @param id Of the app or of a component that the deployment has. */
  component(id: ComponentId = appComponent): ComponentCode {
    let code = this.#components.get(id);
    if (code === undefined) this.#components.set(id, code = this.#codeOf(id));
    return code;
  }

  #codeOf(id: ComponentId): ComponentCode {
    if (id === appComponent) {
      const { environmentVariables } = this.manifest;
      const loader = this.#loaders.get(appDefinition)!;
      return { id, path: "", loader, args: null, environment: { environmentVariables } };
    }
    const component = this.#tree.get(id);
    assert(component !== undefined, `the deployment has the component ${id}`);
    const { path, definition, args, environmentVariables, variableSources } = component;
    const environment = { environmentVariables, variableSources };
    return { id, path, loader: this.#loaders.get(definition)!, args, environment };
  }

  /**
   * The function that a function of component `from` means by an address.
   * @throws DeveloperError when a reference or a handle leads nowhere. What a name leads to, its call will tell.
   */
  resolve(address: FunctionAddress, from: ComponentId): FunctionTarget {
    const target = resolveAddress(address, from, this.#tree, this.#handles);
    if (address.functionHandle !== undefined && !this.#exists(target)) throw handleNotFound();
    if (target.mustBePublic && !this.#exists(target)) throw this.notExported(target);
    return target;
  }

  /** What is said of a child's function that the child keeps to itself. */
  notExported({ component, path }: FunctionTarget) {
    return notExported(this.#tree.get(component)!.name, path);
  }

  /** A handle's handle is that handle. @throws DeveloperError when there is no such function. */
  handleOf(address: FunctionAddress, from: ComponentId): string {
    const target = this.resolve(address, from);
    if (!this.#exists(target)) throw handleNotFound();
    return address.functionHandle ?? this.#handles.make(target);
  }

  #exists({ component, path }: FunctionTarget): boolean {
    return this.component(component).loader.mayHave(path);
  }

  /** What loads the modules that others have loaded, one at a time. */
  loadsOf(others: readonly DeploymentCode[]): (() => void)[] {
    return [...this.#loaders].flatMap(([definition, loader]) => {
      const paths = others.flatMap((other) => other.#loaders.get(definition)?.loadedPaths ?? []);
      return [...new Set(paths)].map((path) => () => loader.warmUp(path));
    });
  }

  /** Between calls: makes room if the modules of earlier calls take much of the memory. They can be loaded again. */
  trim(): void {
    let codeLength = 0;
    for (const loader of this.#loaders.values()) codeLength += loader.codeLength;
    if (codeLength > keptCodeMax) this.close();
  }

  /** Forgets what was loaded. */
  close(): void {
    for (const loader of this.#loaders.values()) loader.close();
  }
}

/** No component's definition has this path. */
const appDefinition = "";
