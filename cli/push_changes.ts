/** What a push changed, for people: functions, code, indexes, cron jobs, components. */
import { styler } from "./terminal.ts";

/** An entry of `_system/cli/modules:apiSpec`. */
export interface FunctionSpec {
  readonly functionType: string;
  /** `messages.js:list`; HTTP routes have `method` and `path` instead. */
  readonly identifier?: string;
  readonly method?: string;
  readonly path?: string;
}

/** The answer of `finish_push` (deploy-protocol 3.8), as far as it is told here. */
export interface FinishedPush {
  readonly authDiff: ListDiff;
  /** By path of the component instance; the app is the empty one. */
  readonly componentDiffs: Readonly<Record<string, ComponentDiff>>;
}

interface ComponentDiff {
  readonly diffType: { readonly type: "create" | "modify" | "unmount" | "remount" };
  readonly cronDiff: {
    readonly added: readonly string[];
    readonly updated: readonly string[];
    readonly deleted: readonly string[];
  };
  readonly indexDiff: Readonly<Record<`${"added" | "removed"}_indexes`, readonly Index[]>>;
}

interface ListDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

interface Index {
  readonly name: string;
  readonly type: string;
}

export interface PushChanges {
  /** Before and after. */
  readonly functions: readonly [readonly FunctionSpec[], readonly FunctionSpec[]];
  /** Modules that were there and have other code now, as the server calls them. */
  readonly changedModules: readonly string[];
  readonly finished: FinishedPush;
}

export interface Change {
  readonly sign: "+" | "-" | "~";
  readonly text: string;
}

const modulesShownMax = 6;

/** In the order in which they are told. */
export function listChanges({ functions, changedModules, finished }: PushChanges): Change[] {
  const [before, after] = functions.map((specs) =>
    new Map(specs.map((spec) => [functionName(spec), JSON.stringify(spec)]))
  ) as [Map<string, string>, Map<string, string>];
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  const changes: Change[] = [];
  for (const name of names) {
    const [old, now] = [before.get(name), after.get(name)];
    if (old === undefined) changes.push({ sign: "+", text: name });
    else if (now === undefined) changes.push({ sign: "-", text: name });
    else if (old !== now) {
      changes.push({ sign: "~", text: `${name} takes or returns something else` });
    }
  }
  changes.push(...codeChanges(changedModules));
  for (const [path, diff] of Object.entries(finished.componentDiffs)) {
    changes.push(...componentChanges(path, diff));
  }
  const { added, removed } = finished.authDiff;
  if (added.length + removed.length > 0) changes.push({ sign: "~", text: "identity providers" });
  return changes;
}

/** One line: what imports the same files may be bundled in another way when one of them changes. */
function codeChanges(modules: readonly string[]): Change[] {
  // Shared chunks have names that nobody chose.
  const names = modules.filter((path) => !path.startsWith("_deps/")).map(moduleName);
  if (names.length === 0) return [];
  const shown = names.slice(0, modulesShownMax).join(", ");
  const rest = names.length > modulesShownMax ? ` and ${names.length - modulesShownMax} more` : "";
  return [{ sign: "~", text: `code of ${shown}${rest}` }];
}

function componentChanges(
  path: string,
  { diffType, cronDiff, indexDiff }: ComponentDiff,
): Change[] {
  const changes: Change[] = [];
  const place = path === "" ? "" : ` of component ${path}`;
  const add = (sign: Change["sign"], what: string, names: readonly string[]) => {
    for (const name of names) changes.push({ sign, text: `${what} ${name}${place}` });
  };
  if (path !== "" && diffType.type !== "modify") {
    changes.push({ sign: diffType.type === "unmount" ? "-" : "+", text: `component ${path}` });
  }
  for (const index of indexDiff.added_indexes) add("+", indexKind(index), [index.name]);
  for (const index of indexDiff.removed_indexes) add("-", indexKind(index), [index.name]);
  add("+", "cron job", cronDiff.added);
  add("~", "cron job", cronDiff.updated);
  add("-", "cron job", cronDiff.deleted);
  return changes;
}

function indexKind({ type }: Index): string {
  return type === "database" ? "index" : `${type} index`;
}

function functionName({ functionType, identifier, method, path }: FunctionSpec): string {
  if (identifier === undefined) return `${method} ${path} (HTTP action)`;
  const [module = "", name = ""] = identifier.split(":");
  return `${moduleName(module)}:${name} (${functionType.toLowerCase()})`;
}

function moduleName(path: string): string {
  return path.replace(/\.js$/, "");
}

/** Nobody reads more at each save. */
const shownMax = 12;
const colours = { "+": "green", "-": "red", "~": "yellow" } as const;

/** A line for each change, and how many are left out. */
export function renderChanges(changes: readonly Change[]): string[] {
  const style = styler(Deno.stderr);
  const lines = changes.slice(0, shownMax)
    .map(({ sign, text }) => `  ${style(colours[sign], sign)} ${text}`);
  if (changes.length > shownMax) lines.push(`  … and ${changes.length - shownMax} more`);
  return lines;
}
