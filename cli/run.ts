/** `hull run`: calls one function and prints its result. */
import type { ApiClient } from "./api_client.ts";
import { UsageError } from "./failure.ts";

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
  if (answer.errorData !== undefined) console.error(JSON.stringify(answer.errorData, null, 2));
  return 1;
}
