/** The table of docs/settings.md, made from src/config.ts. */
import { settings } from "../../src/config.ts";

/** Markdown, with the comments that mark where it begins and ends. */
export function settingsTable(): string {
  const rows = Object.values(settings).map(({ variable, defaultValue, min, max, meaning }) =>
    `| \`${variable}\` | ${defaultValue} | ${min} – ${max} | ${meaning} |`
  );
  return [
    "<!-- Made from src/config.ts by `HULL_REWRITE=1 deno task ok`. -->",
    "<!-- deno-fmt-ignore-start -->",
    "",
    "| variable | default | bounds | meaning |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    "<!-- deno-fmt-ignore-end -->",
  ].join("\n");
}

/** The text with its table replaced by the current one. */
export function replaceSettingsTable(text: string): string {
  return text.replace(
    /<!-- Made from src\/config\.ts [\s\S]*?<!-- deno-fmt-ignore-end -->/,
    settingsTable,
  );
}
