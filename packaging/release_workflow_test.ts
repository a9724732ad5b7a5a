/** The release workflow runs on machines that no test here has: at least it is true to what it refers to. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { targets } from "./targets.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

const stepSchema = z.object({
  uses: z.string().optional(),
  run: z.string().optional(),
  with: z.record(z.string(), z.unknown()).optional(),
});
const jobSchema = z.object({
  "runs-on": z.string(),
  needs: z.array(z.string()).optional(),
  strategy: z.object({
    matrix: z.object({ include: z.array(z.record(z.string(), z.string())) }),
  }).optional(),
  steps: z.array(stepSchema),
});
const workflowSchema = z.object({ jobs: z.record(z.string(), jobSchema) });

const text = Deno.readTextFileSync(`${root}.github/workflows/release.yml`);
const { jobs } = workflowSchema.parse(parse(text, { strict: true }));
const steps = Object.values(jobs).flatMap((job) => job.steps);

Deno.test("release workflow: each step runs or uses something, of a fixed version", () => {
  for (const { uses, run } of steps) {
    assert.notEqual(uses === undefined, run === undefined);
    if (uses !== undefined) assert.match(uses, /^[\w-]+\/[\w-]+@v\d+$/);
  }
});

Deno.test("release workflow: it runs tasks and files that exist, and jobs wait for jobs that do", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${root}deno.json`));
  const commands = steps.flatMap(({ run }) => run ?? []);
  const named = commands.flatMap((run) => [...run.matchAll(/deno task (\S+)/g)]);
  assert.ok(named.length > 0);
  for (const [, task] of named) assert.ok(task! in tasks, `deno.json has no task ${task}`);
  for (const run of commands.filter((run) => run.startsWith("."))) Deno.statSync(root + run);
  for (const { tests } of matrix()) Deno.statSync(root + tests);
  for (const { needs = [] } of Object.values(jobs)) {
    for (const job of needs) assert.ok(job in jobs, `there is no job ${job}`);
  }
});

Deno.test("release workflow: all targets are built, each once, with values for all that is asked of the matrix", () => {
  assert.deepEqual(matrix().map(({ target }) => target).sort(), Object.keys(targets).sort());
  const asked = new Set([...text.matchAll(/\$\{\{ matrix\.(\w+) \}\}/g)].map(([, name]) => name!));
  for (const values of matrix()) {
    for (const name of asked) assert.ok(name in values, `${values.target} has no ${name}`);
    const isSelfExtracting = values.form === "--self-extracting";
    assert.equal(isSelfExtracting, targets[values.target!]!.os !== "win32");
  }
});

Deno.test("release workflow: its Deno is the one that everything is tested with", () => {
  const versions = steps.filter(({ uses }) => uses?.startsWith("denoland/setup-deno"))
    .map((step) => step.with?.["deno-version"]);
  const [, tested] = /deno@([\d.]+)/.exec(Deno.readTextFileSync(`${root}.ci/run`))!;
  assert.deepEqual(versions, [tested]);
});

function matrix() {
  return Object.values(jobs).flatMap(({ strategy }) => strategy?.matrix.include ?? []);
}
