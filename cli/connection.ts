/** Finds the server that a command talks to. */
import { join } from "node:path";
import { parseEnv } from "node:util";
import { ApiClient } from "./api_client.ts";
import type { ServerOptions } from "./options.ts";
import { UsageError } from "./failure.ts";
import { readTextIfExists } from "../src/deploy/app_folder.ts";
import { readServerUrl } from "./server_url_file.ts";

interface Address {
  readonly url: string;
  readonly adminKey: string;
}

/**
 * The server that `options` mean, in this order:
 *
 *   1. --url and --admin-key, or CONVEX_SELF_HOSTED_URL and CONVEX_SELF_HOSTED_ADMIN_KEY;
 *   2. the same variables in `.env.local` or `.env` of the current folder, as for the official command line;
 *   3. the server that runs on the data folder.
 *
 * `isDataGiven`: a data folder that was named counts more than files that lie around.
 * @throws UsageError that names what is missing.
 */
export async function connect(options: ServerOptions, isDataGiven: boolean): Promise<ApiClient> {
  const { url, adminKey } = await findServer(options, isDataGiven);
  return new ApiClient(url, adminKey);
}

/** The server that runs on `dataFolder`, whatever else is configured; undefined if none says so. */
export async function connectLocally(dataFolder: string): Promise<ApiClient | undefined> {
  const local = await findLocalServer(dataFolder);
  return local && new ApiClient(local.url, local.adminKey);
}

/** Like `connect`, without a client. */
export async function findServer(options: ServerOptions, isDataGiven: boolean): Promise<Address> {
  const local = await findLocalServer(options.data);
  const isNamed = options.url !== undefined || options.adminKey !== undefined;
  const filed = isNamed || isDataGiven ? {} : await readEnvironmentFiles(".");
  const url = options.url ?? (filed.CONVEX_SELF_HOSTED_URL || undefined);
  const adminKey = options.adminKey ?? (filed.CONVEX_SELF_HOSTED_ADMIN_KEY || undefined);
  if (url !== undefined && adminKey !== undefined) return { url, adminKey };
  if (url === undefined) {
    if (local !== undefined) return { ...local, ...adminKey !== undefined && { adminKey } };
    throw new UsageError(
      `No server runs on the data folder ${options.data}. Start one with \`hull dev\` or \`hull serve\`, or name ` +
        "one with --url and --admin-key, or with CONVEX_SELF_HOSTED_URL and CONVEX_SELF_HOSTED_ADMIN_KEY in the " +
        "environment or in .env.local.",
    );
  }
  if (local !== undefined && isSameOrigin(local.url, url)) return local;
  throw new UsageError(
    `The admin key of ${url} is missing. Give it with --admin-key or CONVEX_SELF_HOSTED_ADMIN_KEY; ` +
      "`hull admin-key --data DIR` prints it on the machine of the server.",
  );
}

/** The server that says that it runs on this folder. */
async function findLocalServer(dataFolder: string): Promise<Address | undefined> {
  const url = await readServerUrl(dataFolder);
  const adminKey = (await readTextIfExists(join(dataFolder, "admin_key")))?.trim();
  return url === undefined || adminKey === undefined ? undefined : { url, adminKey };
}

/** The variables of `.env`, and of `.env.local`, which counts more. */
export async function readEnvironmentFiles(
  folder: string,
): Promise<Readonly<Record<string, string | undefined>>> {
  const names = [".env", ".env.local"];
  const texts = await Promise.all(names.map((name) => readTextIfExists(join(folder, name))));
  return Object.assign({}, ...texts.map((text) => parseEnv(text ?? "")));
}

function isSameOrigin(a: string, b: string): boolean {
  return URL.canParse(b) && new URL(a).origin === new URL(b).origin;
}
