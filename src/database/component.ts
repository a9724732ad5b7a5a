/**
 * Components: parts of an app with tables, functions, jobs, files and variables of their own (components 1). The app
 * itself is the root of their tree.
 */

import type { Environment } from "../environment.ts";
import { generateId, randomIdBytes } from "../values/document_id.ts";

/** The empty text for the app itself; for others the id of a document of `_components`, which is theirs for ever. */
export type ComponentId = string & { readonly brand: "ComponentId" };

export const appComponent = "" as ComponentId;

/** A component of the app, as the database knows it. */
export interface Component {
  readonly id: ComponentId;
  /** The component that uses it. */
  readonly parent: ComponentId;
  /** Unique among the children of its parent. */
  readonly name: string;
  /** An unmounted component keeps its data, which nobody can change, until it is used again or deleted. */
  readonly state: "active" | "unmounted";
}

/** The number of the table that ids of components name. */
const componentsTable = 512 + 26;

export function newComponentId(environment: Environment): ComponentId {
  const randomness = environment.randomBytes(randomIdBytes);
  return generateId(componentsTable, randomness, environment.nowMs()) as ComponentId;
}

/** The rule for names of components and of what they are used under (components 1). */
const componentName = /^(?=.*[A-Za-z0-9])[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** A sentence about what is wrong with a name, or null. */
export function componentNameProblem(name: string): string | null {
  if (componentName.test(name)) return null;
  return `${JSON.stringify(name)} is no name for a component: expected up to 64 letters, ` +
    "digits and underscores that do not begin with a digit";
}

/** Names from the app downwards: `child/grandchild`. */
export function componentPath(components: readonly Component[], id: ComponentId): string {
  const component = components.find((component) => component.id === id);
  if (component === undefined) return "";
  const parent = componentPath(components, component.parent);
  return parent === "" ? component.name : `${parent}/${component.name}`;
}
