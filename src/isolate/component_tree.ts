/** The components of one deployment, to be found by id, by path, and from their parent. */
import { appComponent, type ComponentId } from "../database/component.ts";
import type { ComponentManifest } from "./protocol.ts";

export class ComponentTree {
  readonly #byId = new Map<ComponentId, ComponentManifest>();
  readonly #byPath = new Map<string, ComponentManifest>();

  constructor(components: readonly ComponentManifest[] = []) {
    for (const component of components) {
      this.#byId.set(component.id, component);
      this.#byPath.set(component.path, component);
    }
  }

  /** All but the app; parents before their children. */
  get all(): Iterable<ComponentManifest> {
    return this.#byId.values();
  }

  get(id: ComponentId): ComponentManifest | undefined {
    return this.#byId.get(id);
  }

  /** Whether this is the app or a component that it uses. */
  has(id: ComponentId): boolean {
    return id === appComponent || this.#byId.has(id);
  }

  /** Names from the app downwards: `child/grandchild`; the app's is empty. */
  pathOf(id: ComponentId): string {
    return this.#byId.get(id)?.path ?? "";
  }

  /** The id at a path; undefined when nothing is there. */
  at(path: string): ComponentId | undefined {
    return path === "" ? appComponent : this.#byPath.get(path)?.id;
  }

  /** Undefined, too, when the parent is not in use any more. */
  child(parent: ComponentId, name: string): ComponentManifest | undefined {
    if (!this.has(parent)) return undefined;
    const path = this.pathOf(parent);
    return this.#byPath.get(path === "" ? name : `${path}/${name}`);
  }
}
