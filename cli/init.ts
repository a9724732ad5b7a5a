/** `hull init`: an app that runs, to be changed. */
import { basename, dirname, join, relative, resolve } from "node:path";
import { embeddedConvexPackage } from "../src/deploy/app_folder.ts";
import { programName } from "./program_name.ts";
import { styler } from "./terminal.ts";
import { readTemplate } from "./templates.ts";

/** Writes the template into `folder`. A file that is there already stays as it is. */
export async function init(folder: string): Promise<number> {
  const path = resolve(folder);
  const { version } = await embeddedConvexPackage();
  const values = { APP_NAME: packageName(basename(path)), CONVEX_VERSION: version };
  const kept: string[] = [];
  const made: string[] = [];
  for (const file of await readTemplate()) {
    const wasMade = await writeNew(join(path, file.path), fill(file.text, values));
    (wasMade ? made : kept).push(file.path);
  }
  report(path, made, kept);
  return 0;
}

function report(path: string, made: readonly string[], kept: readonly string[]): void {
  const style = styler(Deno.stdout);
  for (const file of made) console.log(`  ${style("green", "+")} ${file}`);
  for (const file of kept) {
    console.log(`  ${style("dim", `= ${file} was there and stays as it is`)}`);
  }
  if (made.length === 0) {
    console.log(`Everything is in ${path} already.`);
  } else {
    console.log(
      `${style("green", "✔")} ${kept.length === 0 ? "Made an app in" : "Completed"} ${path}`,
    );
  }
  const way = relative(Deno.cwd(), path);
  const steps = [...way === "" ? [] : [`cd ${quoted(way)}`], `${programName()} dev`];
  console.log(`\nNext:\n  ${style("bold", steps.join(" && "))}`);
  console.log(
    "\nFor types in your editor and `npx convex`, run `npm install` once; nothing else needs it.",
  );
}

/** False if there is a file of that name. */
async function writeNew(path: string, text: string): Promise<boolean> {
  await Deno.mkdir(dirname(path), { recursive: true });
  try {
    await Deno.writeTextFile(path, text, { createNew: true });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

function fill(text: string, values: Readonly<Record<string, string>>): string {
  return Object.entries(values).reduce(
    (filled, [name, value]) => filled.replaceAll(name, value),
    text,
  );
}

/** What npm takes as a name. */
export function packageName(folder: string): string {
  return folder.toLowerCase().replace(/[^a-z0-9._-]+/g, "-").replace(/^[-._]+|-+$/g, "") || "app";
}

function quoted(path: string): string {
  return /^[\w./@-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
