/** The table of docs/settings.md, made from src/config.ts. */
import { settings } from "../../src/config.ts";
import { madePart } from "./made_part.ts";

/** Markdown, with the comments that mark where it begins and ends. */
export function settingsTable(): string {
  const rows = Object.values(settings).map(({ variable, defaultValue, min, max, meaning }) =>
    `| \`${variable}\` | ${defaultValue} | ${min} – ${max} | ${meaning} |`
  );
  return madePart(
    "src/config.ts",
    ["| variable | default | bounds | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n"),
  );
}
