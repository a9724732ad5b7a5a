/** The answer of `finish_push` in the shape that the CLI parses (deploy-protocol 3.8). */
import { appComponent, type ComponentId } from "../database/component.ts";
import type { DeployedDefinition, DeploymentRecord } from "./deployment.ts";
import type { IndexDiff } from "./index_plan.ts";
import { cronJobs } from "./start_push_response.ts";

const noIndexDiff: IndexDiff = {
  added_indexes: [],
  removed_indexes: [],
  enabled_indexes: [],
  disabled_indexes: [],
};

interface ListDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export interface FinishPushResponse {
  readonly authDiff: ListDiff;
  readonly definitionDiffs: Readonly<Record<string, Record<never, never>>>;
  /** By path of the component instance; the app is the empty one. */
  readonly componentDiffs: Readonly<Record<string, ComponentDiff>>;
}

interface ComponentDiff {
  readonly diffType: { readonly type: "create" | "modify" | "unmount" | "remount" };
  readonly moduleDiff: ListDiff;
  readonly udfConfigDiff: {
    readonly previous_version: string;
    readonly next_version: string;
  } | null;
  readonly cronDiff: {
    readonly added: readonly string[];
    readonly updated: readonly string[];
    readonly deleted: readonly string[];
  };
  readonly indexDiff: IndexDiff;
  readonly schemaDiff: {
    readonly previous_schema: string | null;
    readonly next_schema: string | null;
  } | null;
}

/** What a `finish_push` replaced, and by what. */
export interface PushDifference {
  readonly previous: DeploymentRecord | null;
  readonly next: DeploymentRecord;
  /** By path of the component. */
  readonly indexDiffs: Readonly<Record<string, IndexDiff>>;
  /** Whether a component was there before, be it unmounted. */
  readonly isKnown: (component: ComponentId) => boolean;
}

export function finishPushResponse(difference: PushDifference): FinishPushResponse {
  const { previous, next } = difference;
  const providers = (record: DeploymentRecord | null) =>
    record?.authProviders.map((provider) => JSON.stringify(provider)) ?? [];
  return {
    authDiff: listDiff(providers(previous), providers(next)),
    definitionDiffs: Object.fromEntries(definitionPaths(next).map((path) => [path, {}])),
    componentDiffs: componentDiffs(difference),
  };
}

function definitionPaths({ definitions = [] }: DeploymentRecord): string[] {
  return ["", ...definitions.map(({ path }) => path)];
}

/** Every component of the next deployment, and those of the one before that are no longer used. */
function componentDiffs(difference: PushDifference): Record<string, ComponentDiff> {
  const { previous, next, indexDiffs, isKnown } = difference;
  const before = codeByPath(previous);
  const after = codeByPath(next);
  const diffs: Record<string, ComponentDiff> = {};
  for (const [path, code] of after) {
    const replaced = before.get(path);
    const type = replaced !== undefined ? "modify" : isKnown(code.component) ? "remount" : "create";
    diffs[path] = componentDiff(type, [replaced, code], indexDiffs[path]);
  }
  for (const [path, code] of before) {
    if (!after.has(path)) diffs[path] = componentDiff("unmount", [code, undefined]);
  }
  return diffs;
}

/** The code of a component. */
interface Code extends Pick<DeployedDefinition, "modules" | "analysis" | "schema"> {
  readonly component: ComponentId;
  readonly serverVersion: string;
}

function codeByPath(record: DeploymentRecord | null): Map<string, Code> {
  if (record === null) return new Map();
  const { udfConfig, definitions = [], components = [] } = record;
  const app = { ...record, component: appComponent, serverVersion: udfConfig.serverVersion };
  const byPath = new Map(definitions.map((definition) => [definition.path, definition]));
  return new Map<string, Code>([
    ["", app],
    ...components.map(({ id, path, definition }) =>
      [path, { ...byPath.get(definition)!, component: id }] as const
    ),
  ]);
}

function componentDiff(
  type: ComponentDiff["diffType"]["type"],
  [previous, next]: readonly [previous: Code | undefined, next: Code | undefined],
  indexDiff = noIndexDiff,
): ComponentDiff {
  const paths = (code: Code | undefined) => code?.modules.map((module) => module.path) ?? [];
  const versions = [previous?.serverVersion, next?.serverVersion];
  const schemas = [previous?.schema ?? null, next?.schema ?? null] as const;
  return {
    diffType: { type },
    moduleDiff: listDiff(paths(previous), paths(next)),
    udfConfigDiff: previous && next && versions[0] !== versions[1]
      ? { previous_version: previous.serverVersion, next_version: next.serverVersion }
      : null,
    cronDiff: cronDiff(previous, next),
    indexDiff,
    schemaDiff: schemas[0] === schemas[1]
      ? null
      : { previous_schema: schemas[0], next_schema: schemas[1] },
  };
}

/** The answer of a dry run: nothing differs. */
export const dryRunResponse: FinishPushResponse = {
  authDiff: { added: [], removed: [] },
  definitionDiffs: {},
  componentDiffs: {},
};

function listDiff(before: readonly string[], after: readonly string[]): ListDiff {
  return {
    added: after.filter((entry) => !before.includes(entry)),
    removed: before.filter((entry) => !after.includes(entry)),
  };
}

function cronDiff(previous: Code | undefined, next: Code | undefined): ComponentDiff["cronDiff"] {
  const before = cronJobs(previous?.analysis["crons.js"]?.crons);
  const after = cronJobs(next?.analysis["crons.js"]?.crons);
  const { added, removed } = listDiff([...before.keys()], [...after.keys()]);
  const updated = [...after].filter(([identifier, job]) =>
    before.has(identifier) && JSON.stringify(before.get(identifier)) !== JSON.stringify(job)
  ).map(([identifier]) => identifier);
  return { added, updated, deleted: removed };
}
