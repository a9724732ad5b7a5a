/** `hull.json`: settings of the folder in which `hull` is started, for those that are not given otherwise. */
import { resolve } from "node:path";
import { settings } from "../src/config.ts";
import { readTextIfExists } from "../src/deploy/app_folder.ts";
import { errorMessage } from "../src/errors.ts";
import { UsageError } from "./failure.ts";
import { app, data, listening } from "./options.ts";

const fileName = "hull.json";

/** What the file may hold: options by name, and the numbers of src/config.ts by variable. */
export interface HullJson {
  readonly [option: string]: unknown;
  readonly settings?: Readonly<Record<string, number | undefined>> | undefined;
}

/**
 * The file's content; empty without one.
 * @throws UsageError that names the place and what is expected there.
 */
export async function loadHullJson(): Promise<HullJson> {
  const text = await readTextIfExists(fileName);
  if (text === undefined) return {};
  const file = resolve(fileName);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${file} is not valid JSON: ${errorMessage(cause)}`, { cause });
  }
  const { z } = await import("zod");
  const result = (await fileType()).safeParse(content);
  if (!result.success) throw new UsageError(`${file} is wrong:\n${z.prettifyError(result.error)}`);
  const { $schema: _, ...values } = result.data;
  return values;
}

/** The numbers of `file`, as environment variables that `environment` overrides. */
export function withSettings(
  environment: Readonly<Record<string, string>>,
  file: HullJson,
): Record<string, string> {
  const merged: Record<string, string> = {};
  for (const [name, value] of Object.entries(file.settings ?? {})) {
    if (value !== undefined) merged[name] = String(value);
  }
  for (const [name, value] of Object.entries(environment)) {
    if (value !== "") merged[name] = value;
  }
  return merged;
}

/** A JSON schema of the file, for editors. */
export async function hullJsonSchema(): Promise<object> {
  const { z } = await import("zod");
  return { title: "hull.json", ...z.toJSONSchema(await fileType(), { io: "input" }) };
}

async function fileType() {
  const { z } = await import("zod");
  const options = [app(), ...listening(), data()];
  const meaningOf = (name: string) =>
    options.find((option) => option.attributeName() === name)!.description;
  const port = z.int().min(0).max(65_535);
  const origin = z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, ""));
  const types = {
    app: z.string(),
    data: z.string(),
    host: z.string(),
    port,
    sitePort: port,
    cloudOrigin: origin,
    siteOrigin: origin,
    trustedProxies: z.array(z.string()),
    logFormat: z.enum(["text", "json"]),
  };
  const described = Object.entries(types).map(([name, type]) =>
    [name, type.describe(meaningOf(name)).optional()] as const
  );
  const numbers = Object.values(settings).map(({ variable, min, max, meaning }) =>
    [variable, z.number().min(min).max(max).describe(meaning).optional()] as const
  );
  return z.strictObject({
    $schema: z.string().optional(),
    ...Object.fromEntries(described),
    settings: z.strictObject(Object.fromEntries(numbers))
      .describe("Limits, sizes and times, by the name of their environment variable").optional(),
  });
}
