/** `hull env`: the environment variables that functions read. */
import type { ApiClient } from "./api_client.ts";

const usage = "Use `env set NAME VALUE`, `env get NAME`, `env list` or `env remove NAME`.";

export async function env(client: ApiClient, args: readonly string[]): Promise<number> {
  const [action, name, value] = args;
  if (action === "set" && name !== undefined && value !== undefined) {
    await change(client, name, value);
  } else if (action === "remove" && name !== undefined && value === undefined) {
    await change(client, name, null);
  } else if (action === "get" && name !== undefined && value === undefined) {
    return await print(client, name);
  } else if (action === "list" && name === undefined) {
    for (const [name, value] of Object.entries(await list(client))) {
      console.log(`${name}=${quoted(value)}`);
    }
  } else {
    throw new Error(usage);
  }
  return 0;
}

async function change(client: ApiClient, name: string, value: string | null): Promise<void> {
  await client.post("/api/v1/update_environment_variables", { changes: [{ name, value }] });
}

async function print(client: ApiClient, name: string): Promise<number> {
  const value = (await list(client))[name];
  if (value === undefined) {
    console.error(`The environment variable ${name} is not set.`);
    return 1;
  }
  console.log(value);
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
