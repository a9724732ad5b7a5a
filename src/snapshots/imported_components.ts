import type { CatalogData } from "../database/catalog.ts";
import {
  type Component,
  type ComponentId,
  componentNameProblem,
  newComponentId,
} from "../database/component.ts";
import type { Environment } from "../environment.ts";
import { importError } from "./import_error.ts";
import { mustComponent } from "./import_target.ts";

/** The components that an import is about, by their paths below the one that it goes into. */
export class ImportedComponents {
  /** Of which there is nothing yet: they get an id, and wait unmounted for an app that uses them. */
  readonly missing: Component[] = [];
  readonly #known: readonly Component[];
  readonly #root: ComponentId;
  readonly #environment: Environment;

  /** `root`: path of a component; empty for the app. @throws RequestError when there is no such component. */
  constructor(catalog: CatalogData, root: string, environment: Environment) {
    this.#known = catalog.components ?? [];
    this.#root = mustComponent(catalog, root);
    this.#environment = environment;
  }

  /** @throws RequestError when a part of the path is no name of a component. */
  at(path: string): ComponentId {
    let id = this.#root;
    for (const name of path.split("/").filter((name) => name !== "")) {
      const child = [...this.#known, ...this.missing].find((component) =>
        component.parent === id && component.name === name
      );
      id = child?.id ?? this.#create(id, name);
    }
    return id;
  }

  #create(parent: ComponentId, name: string): ComponentId {
    const problem = componentNameProblem(name);
    if (problem !== null) throw importError("InvalidComponent", problem);
    const id = newComponentId(this.#environment);
    this.missing.push({ id, parent, name, state: "unmounted" });
    return id;
  }
}
