/** `hull env`: the environment variables that functions read. */
import type { ApiClient } from "./api_client.ts";
import { UsageError } from "./failure.ts";

/** `value` undefined: what standard input has, but for the end of its last line. */
export async function setVariable(
  client: ApiClient,
  name: string,
  value: string | undefined,
): Promise<number> {
  return await change(client, name, value ?? await readValue(name));
}

export async function removeVariable(client: ApiClient, name: string): Promise<number> {
  return await change(client, name, null);
}

export async function printVariable(client: ApiClient, name: string): Promise<number> {
  const value = (await list(client))[name];
  if (value === undefined) throw new Error(`The environment variable ${name} is not set.`);
  console.log(value);
  return 0;
}

export async function listVariables(
  client: ApiClient,
  { json = false }: { readonly json?: boolean },
): Promise<number> {
  const variables = await list(client);
  if (json) {
    console.log(JSON.stringify(variables, null, 2));
    return 0;
  }
  for (const [name, value] of Object.entries(variables)) console.log(`${name}=${quoted(value)}`);
  return 0;
}

/** @throws UsageError when there is nothing to read. */
async function readValue(name: string): Promise<string> {
  const text = Deno.stdin.isTerminal() ? "" : await new Response(Deno.stdin.readable).text();
  if (text === "") {
    throw new UsageError(`No value for ${name}: give it after the name, or to standard input.`);
  }
  return text.replace(/\r?\n$/, "");
}

async function change(client: ApiClient, name: string, value: string | null): Promise<number> {
  await client.post("/api/v1/update_environment_variables", { changes: [{ name, value }] });
  return 0;
}

/** As programs that read `.env` files take it: raw between quotation marks that do not occur in it. */
function quoted(value: string): string {
  if (/^[\w.:/@+-]*$/.test(value)) return value;
  const mark = ["'", "`", '"'].find((mark) => !value.includes(mark));
  return mark === undefined ? value : `${mark}${value}${mark}`;
}

async function list(client: ApiClient): Promise<Readonly<Record<string, string>>> {
  const { environmentVariables } = await client.get("/api/v1/list_environment_variables") as {
    environmentVariables: Record<string, string>;
  };
  return environmentVariables;
}
