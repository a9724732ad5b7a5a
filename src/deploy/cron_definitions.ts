/** The cron jobs that `crons.ts` exports (function-abi 21.3). */
import { z } from "zod";
import { errorMessage } from "../errors.ts";
import { appComponent, type ComponentId } from "../database/component.ts";
import type { CronDefinition } from "../database/cron_jobs.ts";
import { type CronSchedule, daysOfWeek, nextMatch } from "../database/cron_schedule.ts";
import { parseFunctionPath } from "../functions/function_path.ts";
import { debugName } from "../isolate/function_address.ts";
import type { AnalyzedModule } from "../isolate/protocol.ts";
import { parseValue } from "../values/value.ts";
import type { DeploymentRecord } from "./deployment.ts";
import { parseExported } from "./exported_json.ts";

export const cronsPath = "crons.js";

type Modules = Readonly<Record<string, AnalyzedModule>>;

const argumentBytesMax = 1024 * 1024;

const text = z.string();
const minuteUTC = bounded(0, 59, "minuteUTC must be 0-59").optional();
const hourUTC = bounded(0, 23, "hourUTC must be 0-23");
const day = bounded(1, 31, "day of month must be 1-31");
const count = z.number().int().positive({ error: "Interval must be an integer greater than 0" })
  .optional();

const schedule = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("interval"), seconds: count, minutes: count, hours: count }),
  z.strictObject({ type: z.literal("hourly"), minuteUTC }),
  z.strictObject({ type: z.literal("daily"), hourUTC, minuteUTC }),
  z.strictObject({ type: z.literal("weekly"), dayOfWeek: z.enum(daysOfWeek), hourUTC, minuteUTC }),
  z.strictObject({ type: z.literal("monthly"), day, hourUTC, minuteUTC }),
  z.strictObject({ type: z.literal("cron"), cron: text }),
]);

const exportedJobs = z.record(
  text,
  z.strictObject({ name: text, args: z.array(z.unknown()).max(1), schedule: z.unknown() }),
);

/** The jobs of a deployment that runs: those of the app and of each of its components. */
export function cronDefinitionsOf(
  { analysis, definitions = [], components = [] }: Pick<
    DeploymentRecord,
    "analysis" | "definitions" | "components"
  >,
): Map<ComponentId, CronDefinition[]> {
  const byPath = new Map(definitions.map(({ path, analysis }) => [path, analysis]));
  return new Map([
    [appComponent, parseCronDefinitions(analysis)],
    ...components.map(({ id, definition }): [ComponentId, CronDefinition[]] => [
      id,
      parseCronDefinitions(byPath.get(definition) ?? {}),
    ]),
  ]);
}

/**
 * The jobs that an app or a component defines.
 * @throws Error that says which job is wrong, and how.
 */
export function parseCronDefinitions(modules: Modules): CronDefinition[] {
  const json = modules[cronsPath]?.crons ?? null;
  if (json === null) return [];
  const exported = exportedJobs.safeParse(parseExported(json));
  if (!exported.success) throw new Error("Invalid JSON");
  return Object.entries(exported.data).map(([name, job]) => {
    if (!/^[ -~]*$/.test(name)) {
      throw new Error(`Cron identifier ${JSON.stringify(name)} must be printable ASCII`);
    }
    const args = JSON.stringify(job.args);
    if (args.length >= argumentBytesMax) {
      throw new Error(`The arguments of the cron job '${name}' are too large (maximum size 1 MiB)`);
    }
    return {
      name,
      function: mustFindFunction(name, job.name, modules),
      args: parseValue(args),
      schedule: parseSchedule(name, job.schedule),
    };
  });
}

function parseSchedule(name: string, json: unknown): CronSchedule {
  const parsed = schedule.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = JSON.stringify(json, null, 2);
    throw new Error(`${issue?.message ?? "Invalid schedule"} in ${where} (cron job '${name}')`);
  }
  const { data } = parsed;
  if (data.type === "interval") {
    const units = [data.seconds, data.minutes, data.hours].filter((unit) => unit !== undefined);
    if (units.length !== 1) {
      throw new Error("Exactly one of (seconds, minutes, hours) should be specified");
    }
  }
  if (data.type === "cron") checkExpression(name, data.cron);
  return data as CronSchedule;
}

function checkExpression(name: string, expression: string): void {
  let match: number | null;
  try {
    match = nextMatch(expression, 0);
  } catch (error) {
    throw new Error(
      `The cron spec "${expression}" of the cron job '${name}' is invalid: ${errorMessage(error)}`,
    );
  }
  if (match === null) throw new Error(`The cron spec "${expression}" will never match any time`);
}

/** The full path of the mutation or action that a job runs. */
function mustFindFunction(name: string, written: string, modules: Modules): string {
  const path = parseFunctionPath(written);
  const shown = `${path.module.replace(/\.js$/, "")}:${path.export}`;
  const found = modules[path.module]?.functions.find((candidate) => candidate.name === path.export);
  if (found === undefined) {
    throw new Error(`The cron job '${name}' schedules a function that does not exist: ${shown}`);
  }
  if (found.udfType === "Query") {
    throw new Error(
      `The cron job '${name}' schedules a query function, only actions and mutations can be scheduled: ${shown}`,
    );
  }
  return debugName(path);
}

function bounded(min: number, max: number, error: string) {
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}
