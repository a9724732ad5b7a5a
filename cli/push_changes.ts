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
  /** The last one stands for what is left out. */
  readonly sign: "+" | "-" | "~" | "…";
  readonly text: string;
}

/** In the order in which they are told; of many of one kind, the first. */
export function listChanges({ functions, changedModules, finished }: PushChanges): Change[] {
  const { added, removed } = finished.authDiff;
  const components = Object.entries(finished.componentDiffs);
  return [
    ...shortened(functionChanges(...functions), "functions"),
    ...codeChanges(changedModules),
    ...shortened(components.flatMap(([path, diff]) => mountChanges(path, diff)), "components"),
    ...shortened(components.flatMap(([path, diff]) => indexChanges(path, diff)), "indexes"),
    ...shortened(components.flatMap(([path, diff]) => cronChanges(path, diff)), "cron jobs"),
    ...added.length + removed.length > 0
      ? [{ sign: "~", text: "identity providers" } as const]
      : [],
  ];
}

/** Nobody reads more at each save. */
const shownMax = 12;

function shortened(changes: readonly Change[], what: string): readonly Change[] {
  const rest = changes.length - shownMax;
  if (rest <= 0) return changes;
  return [...changes.slice(0, shownMax), { sign: "…", text: `and ${rest} more ${what}` }];
}

function functionChanges(
  before: readonly FunctionSpec[],
  after: readonly FunctionSpec[],
): Change[] {
  const texts = (specs: readonly FunctionSpec[]) =>
    new Map(specs.map((spec) => [functionName(spec), JSON.stringify(spec)]));
  const [old, now] = [texts(before), texts(after)];
  return [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((name): Change[] => {
    if (!old.has(name)) return [{ sign: "+", text: name }];
    if (!now.has(name)) return [{ sign: "-", text: name }];
    if (old.get(name) === now.get(name)) return [];
    return [{ sign: "~", text: `${name} takes or returns something else` }];
  });
}

const modulesShownMax = 6;

/** One line: what imports the same files may be bundled in another way when one of them changes. */
function codeChanges(modules: readonly string[]): Change[] {
  // Shared chunks have names that nobody chose.
  const names = modules.filter((path) => !path.startsWith("_deps/")).map(moduleName);
  if (names.length === 0) return [];
  const shown = names.slice(0, modulesShownMax).join(", ");
  const rest = names.length > modulesShownMax ? ` and ${names.length - modulesShownMax} more` : "";
  return [{ sign: "~", text: `code of ${shown}${rest}` }];
}

function mountChanges(path: string, { diffType: { type } }: ComponentDiff): Change[] {
  if (path === "" || type === "modify") return [];
  return [{ sign: type === "unmount" ? "-" : "+", text: `component ${path}` }];
}

function indexChanges(path: string, { indexDiff }: ComponentDiff): Change[] {
  const texts = (indexes: readonly Index[]) =>
    indexes.map((index) => `${indexKind(index)} ${index.name}${placeOf(path)}`);
  return [
    ...signed("+", texts(indexDiff.added_indexes)),
    ...signed("-", texts(indexDiff.removed_indexes)),
  ];
}

function cronChanges(path: string, { cronDiff }: ComponentDiff): Change[] {
  const texts = (names: readonly string[]) =>
    names.map((name) => `cron job ${name}${placeOf(path)}`);
  return [
    ...signed("+", texts(cronDiff.added)),
    ...signed("~", texts(cronDiff.updated)),
    ...signed("-", texts(cronDiff.deleted)),
  ];
}

function signed(sign: Change["sign"], texts: readonly string[]): Change[] {
  return texts.map((text) => ({ sign, text }));
}

function placeOf(path: string): string {
  return path === "" ? "" : ` of component ${path}`;
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

const colours = { "+": "green", "-": "red", "~": "yellow", "…": "dim" } as const;

/** A line for each change. */
export function renderChanges(changes: readonly Change[]): string[] {
  const style = styler(Deno.stderr);
  return changes.map(({ sign, text }) => `  ${style(colours[sign], sign)} ${text}`);
}
