/** The environment variables that the app and its components declare, all of them strings (components 3). */
import { RequestError } from "../errors.ts";
import { parseExported } from "./exported_json.ts";

/** A variable as a definition exports it: `value` is the JSON text of its validator. */
export type DeclaredVariable = readonly [
  name: string,
  declaration: { readonly value: string; readonly optional?: boolean | undefined },
];

interface VariableValidator {
  readonly type: string;
  readonly value?: unknown;
}

/**
 * @param owner `app`, or a component, as messages name it.
 * @throws RequestError when one of them could have values that are no strings.
 */
export function checkDeclarations(variables: readonly DeclaredVariable[], owner: string): void {
  for (const [name, { value }] of variables) {
    if (isStringLike(parseExported(value))) continue;
    throw new RequestError(
      "badRequest",
      "InvalidEnvVarDeclaration",
      `Env var \`${name}\` on the ${owner} has a non-string validator. Use a string, a string literal, or a union of those.`,
    );
  }
}

/**
 * Checks the deployment's variables against those that the app declares (deploy-protocol 3.8).
 * @throws RequestError naming the variables that are missing or have a wrong value.
 */
export function checkVariables(
  variables: readonly DeclaredVariable[],
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
    if (actual !== undefined && !isValueOf(value, actual)) throw invalidValue(name);
  }
}

/**
 * Checks a change of the deployment's variables against those that the live app declares (deploy-protocol 5).
 * @throws RequestError naming a variable that the app would miss, or that would get a wrong value.
 */
export function checkVariableChange(
  variables: readonly DeclaredVariable[],
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): void {
  for (const [name, { value, optional }] of variables) {
    const actual = after[name];
    if (actual === before[name]) continue;
    if (actual !== undefined && !isValueOf(value, actual)) throw invalidValue(name);
    if (actual === undefined && !optional) {
      throw new RequestError(
        "badRequest",
        "RequiredEnvironmentVariable",
        `The environment variable ${name} cannot be removed: the deployed app declares it as required. ` +
          "Deploy the app without the declaration first.",
      );
    }
  }
}

function invalidValue(name: string): RequestError {
  return new RequestError(
    "badRequest",
    "InvalidEnvironmentVariable",
    `The value of the environment variable ${name} is not one that the app declares.`,
  );
}

/** Whether a checked declaration lets a value through. */
export function isValueOf(declared: string, text: string): boolean {
  const literals = literalsOf(JSON.parse(declared));
  return literals === null || literals.includes(text);
}

/** Whether every value that the declaration `inner` lets through is one of `outer`, too. */
export function isCovered(inner: string, outer: string): boolean {
  const [innerLiterals, outerLiterals] = [inner, outer].map((each) => literalsOf(JSON.parse(each)));
  if (outerLiterals === null) return true;
  return innerLiterals?.every((literal) => outerLiterals!.includes(literal)) ?? false;
}

/** The values that a validator lets through; null: every string. */
function literalsOf({ type, value }: VariableValidator): string[] | null {
  if (type === "string") return null;
  if (type === "literal") return [value as string];
  const members = (value as VariableValidator[]).map(literalsOf);
  return members.every((each) => each !== null) ? members.flat() : null;
}

function isStringLike(validator: unknown): boolean {
  const { type, value } = Object(validator) as VariableValidator;
  if (type === "union") return Array.isArray(value) && value.every(isStringLike);
  return type === "string" || (type === "literal" && typeof value === "string");
}
