/** `hull config`: the settings that a server started here would have, and where each comes from. */
import { readConfig, settings } from "../src/config.ts";
import { hullJsonSchema, loadHullJson, withSettings } from "./hull_json.ts";
import type { ServeOptions } from "./options.ts";
import type { Call, OptionSource } from "./program.ts";
import { renderTable } from "./text_table.ts";

export interface ConfigOptions extends ServeOptions {
  readonly app: string;
  readonly json?: boolean;
  readonly schema?: boolean;
}

interface EffectiveSetting {
  /** As `hull.json` calls it. */
  readonly name: string;
  /** Null for what is not set and has no default. */
  readonly value: unknown;
  readonly source: OptionSource;
}

const options = [
  "app",
  "data",
  "host",
  "port",
  "sitePort",
  "cloudOrigin",
  "siteOrigin",
  "trustedProxies",
  "logFormat",
] as const satisfies readonly (keyof ConfigOptions)[];

export async function showConfig(given: ConfigOptions, call: Call): Promise<number> {
  if (given.schema) {
    console.log(JSON.stringify(await hullJsonSchema(), null, 2));
    return 0;
  }
  const shown: EffectiveSetting[] = [
    ...options.map((name) => ({ name, value: given[name] ?? null, source: call.sourceOf(name) })),
    ...await numbers(),
  ];
  if (given.json) {
    console.log(JSON.stringify(shown, null, 2));
  } else {
    const rows = shown.map(({ name, value, source }) => [name, render(value), source]);
    console.log(renderTable(["setting", "value", "from"], rows));
  }
  return 0;
}

/** The settings of src/config.ts. */
async function numbers(): Promise<EffectiveSetting[]> {
  const environment = Deno.env.toObject();
  const file = await loadHullJson();
  const config = readConfig(withSettings(environment, file));
  return Object.entries(settings).map(([name, { variable }]) => ({
    name: variable,
    value: config[name as keyof typeof config],
    source: environment[variable]
      ? "environment"
      : file.settings?.[variable] === undefined
      ? "default"
      : "hull.json",
  }));
}

function render(value: unknown): string {
  if (value === null) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}
