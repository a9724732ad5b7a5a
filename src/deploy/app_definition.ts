/** What `convex.config.js` says about the app as a whole (components 2.2, 3). */
import { z } from "zod";
import { RequestError } from "../errors.ts";
import { parseExported } from "./exported_json.ts";

const definition = z.looseObject({
  definitionType: z.looseObject({ type: z.literal("app") }),
  childComponents: z.array(z.unknown()).default([]),
  httpPrefix: z.string().nullish(),
  envVars: z.array(z.tuple([
    z.string(),
    z.looseObject({ value: z.string(), optional: z.boolean().optional() }),
  ])).nullish().transform((variables) => variables ?? []),
});

export interface AppDefinition {
  /** Variables that the app declares, as it exported them. */
  readonly variables: z.infer<typeof definition>["envVars"];
}

/**
 * Parses what `convex.config.js` exports, given as JSON text.
 * @throws RequestError when it is no definition of an app, or asks for what Hull does not have yet.
 */
export function parseAppDefinition(exported: string): AppDefinition {
  const result = definition.safeParse(parseExported(exported));
  if (!result.success) throw invalid(z.prettifyError(result.error));
  const { childComponents, httpPrefix, envVars } = result.data;
  if (childComponents.length > 0) throw notBuilt("components (`app.use`)");
  if (httpPrefix) throw notBuilt("`httpPrefix` of an app");
  for (const [name, { value }] of envVars) {
    if (isStringLike(parseExported(value))) continue;
    throw new RequestError(
      "badRequest",
      "InvalidEnvVarDeclaration",
      `Env var \`${name}\` on the app has a non-string validator. Use a string, a string literal, or a union of those.`,
    );
  }
  return { variables: envVars };
}

/**
 * Checks the deployment's variables against those that the app declares (deploy-protocol 3.8).
 * @throws RequestError naming the variables that are missing or have a wrong value.
 */
export function checkVariables(
  { variables }: AppDefinition,
  values: Readonly<Record<string, string>>,
): void {
  const missing = variables.filter(([name, { optional }]) => !optional && !(name in values));
  if (missing.length > 0) {
    throw new RequestError(
      "badRequest",
      "MissingEnvironmentVariables",
      `Required environment variables are not set: ${
        missing.map(([name]) => name).join(", ")
      }. Set them in the Convex dashboard or CLI before pushing.`,
    );
  }
  for (const [name, { value }] of variables) {
    const actual = values[name];
    if (actual === undefined || satisfies(actual, JSON.parse(value))) continue;
    throw new RequestError(
      "badRequest",
      "InvalidEnvironmentVariable",
      `The value of the environment variable ${name} is not one that the app declares.`,
    );
  }
}

interface VariableValidator {
  readonly type: string;
  readonly value?: unknown;
}

function isStringLike(validator: unknown): boolean {
  const { type, value } = Object(validator) as VariableValidator;
  if (type === "union") return Array.isArray(value) && value.every(isStringLike);
  return type === "string" || (type === "literal" && typeof value === "string");
}

function satisfies(text: string, { type, value }: VariableValidator): boolean {
  if (type === "union") {
    return (value as VariableValidator[]).some((member) => satisfies(text, member));
  }
  return type === "string" || value === text;
}

function invalid(reason: string): RequestError {
  return new RequestError(
    "badRequest",
    "InvalidDefinition",
    `The default export of \`convex.config.ts\` in your app has an invalid value (${reason}). It must be what \`defineApp()\` returned.`,
  );
}

/** What the protocol has and Hull has not built. */
export function notBuilt(what: string): RequestError {
  return new RequestError(
    "badRequest",
    "NotSupportedYet",
    `This app uses ${what}, which Hull does not support yet.`,
  );
}
