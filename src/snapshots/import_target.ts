/** What an import finds where it goes. */
import { type CatalogData, schemasOf } from "../database/catalog.ts";
import { appComponent, type ComponentId } from "../database/component.ts";
import { importError } from "./import_error.ts";

/** The component at a path; empty for the app. @throws RequestError when there is none. */
export function mustComponent({ components = [] }: CatalogData, names: string): ComponentId {
  let id = appComponent;
  const path = names.split("/").filter((name) => name !== "");
  for (const name of path) {
    const child = components.find((component) =>
      component.parent === id && component.name === name
    );
    if (child === undefined) {
      throw importError(
        "ComponentNotFound",
        `There is no component ${path.join("/")}. Deploy the app that uses it first.`,
      );
    }
    id = child.id;
  }
  return id;
}

/** The fields that the schema lets a document of the table be without. */
export function optionalFields(
  catalog: CatalogData,
  component: ComponentId,
  table: string,
): ReadonlySet<string> {
  const { activeSchema } = schemasOf(catalog, component);
  const type = activeSchema?.tables.find(({ tableName }) => tableName === table)?.documentType as
    | { type: string; value: Record<string, { optional?: boolean }> }
    | null
    | undefined;
  if (type?.type !== "object") return new Set();
  const fields = Object.entries(type.value).filter(([, { optional }]) => optional === true);
  return new Set(fields.map(([name]) => name));
}
