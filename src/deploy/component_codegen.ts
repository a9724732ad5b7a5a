/**
 * Writes `_generated/` of a component inside the app. The files have the names that the official command line gives
 * them, so that either tool replaces what the other wrote.
 */
import { join } from "node:path";
import {
  componentTypes,
  dataModelTypes,
  type DeclaredVariable,
  header,
  type InstalledComponent,
  writeGenerated,
} from "./codegen.ts";
import { findEntryPoints } from "./entry_points.ts";
import { propertyName, validatorType } from "./validator_types.ts";

/** What only a push knows of a component's definition, as its answer says it (deploy-protocol 3.6). */
export interface AnalyzedDefinition {
  readonly definition: {
    readonly envVars?: readonly DeclaredVariable[] | null;
    readonly childComponents: readonly { readonly name: string; readonly path: string }[];
    readonly exports: ExportNode;
  };
  readonly functions: Readonly<Record<string, { readonly functions: readonly AnalyzedFunction[] }>>;
}

type ExportNode =
  | { readonly type: "branch"; readonly branch: readonly (readonly [string, ExportNode])[] }
  | { readonly type: "leaf"; readonly leaf: string };

interface AnalyzedFunction {
  readonly name: string;
  readonly udfType: string;
  readonly args: string | null;
  readonly returns: string | null;
}

export interface AnalyzedComponentCode {
  readonly analysis: AnalyzedDefinition;
  readonly components: readonly InstalledComponent[];
}

/** Brings `_generated/` in `folder` up to date; without `analyzed`, what depends on it stays as it is. */
export async function generateComponentCode(
  folder: string,
  analyzed?: AnalyzedComponentCode,
): Promise<void> {
  const entryPoints = await findEntryPoints(folder);
  const { envVars } = analyzed?.analysis.definition ?? {};
  await writeGenerated(join(folder, "_generated"), async (write, readExisting) => {
    await write(
      "api.ts",
      apiModule(
        entryPoints.map(({ path }) => path),
        await componentTypes(readExisting, "api.ts", analyzed?.components),
      ),
    );
    await write("dataModel.ts", await dataModelTypes(folder));
    if (analyzed !== undefined || await readExisting("server.ts") === undefined) {
      await write("server.ts", serverModule(envVars ?? []));
    }
    if (analyzed !== undefined) await write("component.ts", componentApi(analyzed.analysis));
    else if (await readExisting("component.ts") === undefined) {
      await write("component.ts", unknownComponentApi);
    }
  });
}

function apiModule(modulePaths: readonly string[], components: string): string {
  const modules = modulePaths.map((path) => {
    const name = path.replace(/\.[^./]+$/, "");
    return `  ${JSON.stringify(name)}: typeof import(${JSON.stringify(`../${name}.js`)});`;
  });
  return `${header}
import {
  anyApi,
  type ApiFromModules,
  componentsGeneric,
  type FilterApi,
  type FunctionReference,
} from "convex/server";

type FullApi = ApiFromModules<{
${modules.join("\n")}
}>;

/** The functions that those who use this component may call: \`api.myModule.myFunction\`. */
export const api: FilterApi<FullApi, FunctionReference<any, "public">> = anyApi as any;

/** The functions that only this component may call: \`internal.myModule.myFunction\`. */
export const internal: FilterApi<FullApi, FunctionReference<any, "internal">> = anyApi as any;

/** The functions of the components that this one uses. */
export const components: Components = componentsGeneric() as any;

${components}`;
}

function serverModule(variables: readonly DeclaredVariable[]): string {
  const declared = variables.map(([name, { value, optional }]) =>
    `  readonly ${name}: ${validatorType(value)}${optional ? " | undefined" : ""};\n`
  );
  return `${header}
import {
  type ActionBuilder,
  actionGeneric,
  type GenericActionCtx,
  type GenericDatabaseReader,
  type GenericDatabaseWriter,
  type GenericMutationCtx,
  type GenericQueryCtx,
  type HttpActionBuilder,
  httpActionGeneric,
  internalActionGeneric,
  internalMutationGeneric,
  internalQueryGeneric,
  type MutationBuilder,
  mutationGeneric,
  type QueryBuilder,
  queryGeneric,
} from "convex/server";
import type { DataModel } from "./dataModel.js";

declare const process: { readonly env: any };

/** Defines a query that those who use this component may call. */
export const query: QueryBuilder<DataModel, "public"> = queryGeneric;

/** Defines a query that only this component may call. */
export const internalQuery: QueryBuilder<DataModel, "internal"> = internalQueryGeneric;

/** Defines a mutation that those who use this component may call. */
export const mutation: MutationBuilder<DataModel, "public"> = mutationGeneric;

/** Defines a mutation that only this component may call. */
export const internalMutation: MutationBuilder<DataModel, "internal"> = internalMutationGeneric;

/** Defines an action that those who use this component may call. */
export const action: ActionBuilder<DataModel, "public"> = actionGeneric;

/** Defines an action that only this component may call. */
export const internalAction: ActionBuilder<DataModel, "internal"> = internalActionGeneric;

/** Defines a handler of HTTP requests, to be routed in \`http.ts\`. */
export const httpAction: HttpActionBuilder = httpActionGeneric;

/** Environment variables: those of the platform, and those that \`convex.config.ts\` declares. */
export const env: {
  readonly CONVEX_CLOUD_URL: string;
  readonly CONVEX_SITE_URL: string;
${declared.join("")}} = process.env;

/** What a query receives as its first argument. */
export type QueryCtx = GenericQueryCtx<DataModel>;

/** What a mutation receives as its first argument. */
export type MutationCtx = GenericMutationCtx<DataModel>;

/** What an action receives as its first argument. */
export type ActionCtx = GenericActionCtx<DataModel>;

/** \`ctx.db\` of a query. */
export type DatabaseReader = GenericDatabaseReader<DataModel>;

/** \`ctx.db\` of a mutation. */
export type DatabaseWriter = GenericDatabaseWriter<DataModel>;
`;
}

/** Until a push has looked at the component. */
const unknownComponentApi = `${header}
export type ComponentApi<_Name extends string | undefined = string | undefined> = any;
`;

function componentApi({ definition, functions }: AnalyzedDefinition): string {
  return `${header}
import type { FunctionReference } from "convex/server";

/** What this component offers to those who use it, as \`components.myComponent\`. */
export type ComponentApi<Name extends string | undefined = string | undefined> = ${
    exportType(definition.exports, functions, "")
  };
`;
}

function exportType(
  node: ExportNode,
  functions: AnalyzedDefinition["functions"],
  indentation: string,
): string {
  if (node.type === "leaf") return functionType(node.leaf, functions);
  const inner = `${indentation}  `;
  const members = node.branch.map(([name, child]) =>
    `${inner}${propertyName(name)}: ${exportType(child, functions, inner)};\n`
  );
  return members.length === 0 ? "{}" : `{\n${members.join("")}${indentation}}`;
}

/** For those who use a component its functions are its own affair, so all of them count as internal. */
function functionType(reference: string, functions: AnalyzedDefinition["functions"]): string {
  const [module = "", name = ""] = reference.replace("_reference/function/", "").split(":");
  const found = functions[module]?.functions.find((each) => each.name === name);
  const kind = found?.udfType.toLowerCase() ?? "query";
  const [args, returns] = [found?.args ?? null, found?.returns ?? null].map(validatorType);
  return `FunctionReference<"${kind}", "internal", ${args}, ${returns}, Name>`;
}
