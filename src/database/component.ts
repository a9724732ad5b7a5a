/**
 * Components: parts of an app with tables, functions, jobs, files and variables of their own (components 1). The app
 * itself is the root of their tree.
 */

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

/** Names from the app downwards: `child/grandchild`. */
export function componentPath(components: readonly Component[], id: ComponentId): string {
  const component = components.find((component) => component.id === id);
  if (component === undefined) return "";
  const parent = componentPath(components, component.parent);
  return parent === "" ? component.name : `${parent}/${component.name}`;
}
