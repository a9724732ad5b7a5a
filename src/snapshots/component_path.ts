import type { CatalogData } from "../database/catalog.ts";
import type { ComponentId } from "../database/component.ts";

/** Names of components from the app down to this one, as `a/b`; empty for the app. */
export function componentPath(
  { components = [] }: Pick<CatalogData, "components">,
  id: ComponentId,
): string {
  const found = components.find((component) => component.id === id);
  if (found === undefined) return "";
  const above = componentPath({ components }, found.parent);
  return above === "" ? found.name : `${above}/${found.name}`;
}
