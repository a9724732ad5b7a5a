/** `hull run`: calls one function and prints its result. */
import type { ApiClient } from "./api_client.ts";
import { UsageError } from "./failure.ts";
import { nearest } from "./nearest.ts";
import type { FunctionSpec } from "./push_changes.ts";

/** An app can have thousands of functions. */
const shownMax = 20;

type Answer =
  & { readonly logLines: readonly string[] }
  & (
    | { readonly status: "success"; readonly value: unknown }
    | { readonly status: "error"; readonly errorMessage: string; readonly errorData?: unknown }
  );

/** The result goes to standard output as JSON, what the function logged to standard error. */
export async function run(
  client: ApiClient,
  path: string,
  args: string,
  componentPath?: string,
): Promise<number> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(args);
  } catch (cause) {
    throw new UsageError(
      `The arguments ${args} are no JSON. Give an object such as '{"name": "value"}'.`,
      { cause },
    );
  }
  const answer = await client.post("/api/function", {
    path,
    args: parsed,
    ...componentPath !== undefined && { componentPath },
    format: "json",
  }) as Answer;
  for (const line of answer.logLines ?? []) console.error(line);
  if (answer.status === "success") {
    console.log(JSON.stringify(answer.value, null, 2));
    return 0;
  }
  console.error(answer.errorMessage);
  if (componentPath === undefined && answer.errorMessage.includes("Could not find function for")) {
    console.error(await whatThereIs(client, path));
  }
  if (answer.errorData !== undefined) console.error(JSON.stringify(answer.errorData, null, 2));
  return 1;
}

/** For somebody who mistyped a function's name. */
async function whatThereIs(client: ApiClient, path: string): Promise<string> {
  const functions = await client.query(
    "_system/cli/modules:apiSpec",
    {},
  ) as readonly FunctionSpec[];
  const names = functions.flatMap(({ identifier }) => identifier?.replace(".js:", ":") ?? []);
  const meant = nearest(path, names);
  if (meant !== undefined) return `Did you mean ${meant}?`;
  if (names.length === 0) return "No functions are deployed: `hull deploy` pushes an app.";
  const rest = names.length - shownMax;
  return `There are: ${names.slice(0, shownMax).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}.`;
}
