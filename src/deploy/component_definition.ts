/** What a `convex.config.js` exports: the app's or a component's definition (components 2.2). */
import { z } from "zod";
import { componentNameProblem } from "../database/component.ts";
import { RequestError } from "../errors.ts";
import { checkDeclarations, type DeclaredVariable } from "./declared_variables.ts";
import type { EnvBinding } from "./deployment.ts";
import { parseExported } from "./exported_json.ts";

/** Path of the app's definition. */
export const appDefinitionPath = "";

export interface ComponentDefinition {
  /** As pushed, relative to the app's functions folder. */
  readonly path: string;
  /** The name that `defineComponent` got; null for the app. */
  readonly name: string | null;
  /** What it uses, in the order in which it does. */
  readonly children: readonly UsedComponent[];
  /** Where the app's own HTTP routes begin, `/p/`; null: at the root. */
  readonly httpPrefix: string | null;
  readonly httpMounts: readonly HttpMount[];
  readonly variables: readonly DeclaredVariable[];
  /** What older libraries had in place of variables. */
  readonly args: readonly DeclaredArgument[];
}

/** One `use()` of a definition. */
export interface UsedComponent {
  readonly name: string;
  /** Path of its definition. */
  readonly definition: string;
  readonly env: readonly (readonly [name: string, binding: EnvBinding])[];
  readonly args: readonly (readonly [name: string, value: { readonly value: string }])[];
}

/** The routes of the child `name` are under `path`, `/p/`. */
export interface HttpMount {
  readonly path: string;
  readonly name: string;
}

export type DeclaredArgument = readonly [name: string, validator: { readonly value: string }];

const named = <T extends z.ZodType>(value: T) => z.tuple([z.string(), value]);
const text = z.looseObject({ type: z.literal("value"), value: z.string() });

const exportedDefinition = z.looseObject({
  definitionType: z.discriminatedUnion("type", [
    z.looseObject({ type: z.literal("app") }),
    z.looseObject({
      type: z.literal("childComponent"),
      name: z.string(),
      args: z.array(named(text)).default([]),
    }),
  ]),
  childComponents: z.array(z.looseObject({
    name: z.string(),
    path: z.string(),
    // Null asks to call back into the definition, which no library has done since components were published.
    args: z.array(named(text)).default([]),
    env: z.array(named(z.discriminatedUnion("type", [
      z.object({ type: z.literal("value"), value: z.string() }),
      z.object({ type: z.literal("envVar"), name: z.string() }),
    ]))).nullish(),
  })).default([]),
  httpPrefix: z.string().nullish(),
  httpMounts: z.record(z.string(), z.string()).default({}),
  envVars: z.array(named(text.extend({ optional: z.boolean().optional() }))).nullish(),
});

const childReference = /^_reference\/childComponent\/([^/]+)$/;

/**
 * Parses what the `convex.config.js` of a definition exports, given as JSON text.
 * @throws RequestError when it is none, or none of this kind.
 */
export function parseDefinition(path: string, exported: string): ComponentDefinition {
  const result = exportedDefinition.safeParse(parseExported(exported));
  if (!result.success) throw invalidDefinition(path, z.prettifyError(result.error));
  const { definitionType, childComponents, httpMounts, httpPrefix, envVars } = result.data;
  const isApp = path === appDefinitionPath;
  if ((definitionType.type === "app") !== isApp) {
    throw invalidDefinition(path, isApp ? "it defines a component" : "it defines an app");
  }
  const variables = envVars ?? [];
  const component = definitionType.type === "app" ? null : definitionType;
  if (component !== null) checkName(path, component.name);
  checkDeclarations(variables, component === null ? "app" : `component ${component.name}`);
  return {
    path,
    name: component?.name ?? null,
    children: childComponents.map(({ name, path: definition, env, args }) => {
      checkName(path, name);
      return { name, definition, env: env ?? [], args };
    }),
    httpPrefix: httpPrefix ?? null,
    httpMounts: Object.entries(httpMounts).map(([mount, reference]) =>
      parseMount(path, mount, reference)
    ),
    variables,
    args: component?.args ?? [],
  };
}

export function invalidDefinition(path: string, reason: string): RequestError {
  const [where, call] = path === appDefinitionPath
    ? ["your app", "defineApp"]
    : [`component \`${path}\``, "defineComponent"];
  return new RequestError(
    "badRequest",
    "InvalidDefinition",
    `The default export of \`convex.config.ts\` in ${where} has an invalid value (${reason}). It must be what \`${call}()\` returned.`,
  );
}

function checkName(path: string, name: string): void {
  const problem = componentNameProblem(name);
  if (problem !== null) throw invalidDefinition(path, problem);
}

function parseMount(path: string, mount: string, reference: string): HttpMount {
  const [, name] = childReference.exec(reference) ?? [];
  if (name === undefined) {
    throw invalidDefinition(path, `HTTP mount ${mount}: ${reference} is no component`);
  }
  if (!mount.startsWith("/") || !mount.endsWith("/")) {
    throw invalidDefinition(path, `HTTP mount ${mount} must begin and end with a slash`);
  }
  return { path: mount, name };
}
