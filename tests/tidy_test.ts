/**
 * Style as ordinary tests: who may import whom, who may touch what, how files are called. The rules are drawn in
 * ARCHITECTURE.md; a rule that nothing checks is a wish.
 */
import assert from "node:assert/strict";
import { nodeModule, programModules } from "../src/program_files.ts";
import { exists, readSources, root, type SourceFile } from "./support/source_files.ts";
import { checkMadePart } from "./support/made_part.ts";
import { settingsTable } from "./support/settings_table.ts";

const product = readSources("main.ts", "cli", "src", "runtime");
const everything = [...product, ...readSources("packaging", "tests", "bench")];
const isTest = ({ path }: SourceFile) => path.endsWith("_test.ts");

/** From the top: a file may import what stands in a later row, not in its own (its own folder excepted) or above. */
const layers: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli"],
  ["src/server.ts"],
  ["src/server"],
  ["src/maintenance", "src/testing"],
  [
    "src/http",
    "src/sync",
    "src/scheduler",
    "src/snapshots",
    "src/deploy",
    "src/logs",
    "src/dashboard",
    "src/system_functions",
  ],
  ["src/functions"],
  ["src/isolate", "src/committer", "src/file_storage", "src/vector_search", "src/auth"],
  ["src/persistence"],
  ["src/database"],
  ["src/values"],
  ["src/metrics"],
  [
    "src/assert.ts",
    "src/config.ts",
    "src/environment.ts",
    "src/errors.ts",
    "src/logger.ts",
    "src/program_files.ts",
  ],
];

/** Files of types alone, known to both ends of a boundary: `import type` may name them from anywhere. */
const contracts = new Set([
  "src/committer/protocol.ts",
  "src/deploy/deployment.ts",
  "src/functions/functions.ts",
  "src/isolate/protocol.ts",
  "src/logs/log_entry.ts",
  "src/logs/log_store.ts",
]);

/** What runtime/ may import beside itself, src/database and src/values. */
const sharedWithRuntime = new Set([
  "src/assert.ts",
  "src/errors.ts",
  "src/isolate/component_tree.ts",
  "src/isolate/frames.ts",
  "src/isolate/function_address.ts",
  "src/isolate/function_handles.ts",
  "src/isolate/heartbeat.ts",
  "src/isolate/isolate_data.ts",
  "src/isolate/module_factory.ts",
  "src/isolate/protocol.ts",
  "src/persistence/persistence.ts",
  "src/persistence/persistence_error.ts",
  "src/persistence/snapshot_reader.ts",
  "src/program_files.ts",
]);

Deno.test("tidy: imports follow the layers", () => {
  const wrong: string[] = [];
  for (const file of product.filter((file) => !isTest(file))) {
    for (const { target, kind } of file.references) {
      if (kind === "url" || !isOurs(target)) continue;
      if (kind === "type" && contracts.has(target)) continue;
      if (!mayImport(file.path, target)) wrong.push(`${file.path} must not import ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

function mayImport(from: string, to: string): boolean {
  if (from.startsWith("runtime/")) {
    return /^(runtime|src\/database|src\/values)\//.test(to) || sharedWithRuntime.has(to);
  }
  // The program is its own executor: a hidden command runs it.
  if (to.startsWith("runtime/")) return from === "cli/commands.ts" && to === "runtime/executor.ts";
  const [above, below] = [layerOf(from), layerOf(to)];
  return above < below || (above === below && folderOf(from) === folderOf(to));
}

function layerOf(path: string): number {
  const layer = layers.findIndex((row) => row.includes(folderOf(path)));
  assert.ok(layer >= 0, `${path} belongs to no layer: put it where it belongs or draw a new one`);
  return layer;
}

/** The folder that the layers name, or the file itself if it stands alone. */
function folderOf(path: string): string {
  return /^(cli|src\/[^/]+)\//.exec(path)?.[1] ?? path;
}

function isOurs(target: string): boolean {
  return /^(main\.ts|cli\/|src\/|runtime\/|packaging\/|tests\/|bench\/|examples\/)/.test(target);
}

Deno.test("tidy: there are no import cycles", () => {
  const imports = new Map(
    everything.map(({ path, references }) => [
      path,
      references.filter(({ kind }) => kind === "value" || kind === "lazy")
        .map(({ target }) => target),
    ]),
  );
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (done.has(path)) return;
    const at = trail.indexOf(path);
    assert.ok(at < 0, `import cycle: ${[...trail.slice(at), path].join(" → ")}`);
    for (const target of imports.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
});

interface Resource {
  readonly what: string;
  /** The invariant of ARCHITECTURE.md that this is. */
  readonly invariant?: string;
  readonly pattern: RegExp;
  /** Paths, or beginnings of paths that end in a slash. */
  readonly allowed: readonly string[];
}

/** Things of the world, and the only places under cli/, src/ and main.ts that may touch them. */
const resources: readonly Resource[] = [
  {
    what: "SQLite",
    invariant: "I8",
    pattern: /"node:sqlite"/,
    allowed: ["src/persistence/sqlite.ts"],
  },
  {
    what: "SQL",
    invariant: "I8",
    pattern: /["'`]\s*(SELECT|INSERT|UPDATE|DELETE FROM|CREATE (TABLE|INDEX)|PRAGMA|BEGIN)\b/,
    allowed: ["src/persistence/"],
  },
  { what: "a listening socket", pattern: /\bDeno\.serve\b/, allowed: ["src/http/listener.ts"] },
  {
    what: "an open WebSocket",
    pattern: /\bupgradeWebSocket\b/,
    allowed: ["src/http/listener.ts", "src/sync/connection.ts"],
  },
  {
    what: "an outgoing request",
    pattern: /(?<![.#\w])fetch\(/,
    allowed: ["src/auth/provider_document.ts", "cli/"],
  },
  {
    what: "a worker",
    pattern: /\bnew Worker\(/,
    allowed: [
      "src/isolate/",
      "src/committer/",
      "src/persistence/database_copy.ts",
      "src/vector_search/vector_search.ts",
    ],
  },
  {
    what: "a child process",
    pattern: /\bDeno\.Command\b|"node:child_process"/,
    allowed: ["src/isolate/", "src/deploy/", "cli/"],
  },
  {
    what: "clock, timers or randomness",
    pattern:
      /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|(?<!\w)set(Timeout|Interval)\(|\bMath\.random\(|\bcrypto\.(getRandomValues|randomUUID)\(/,
    allowed: ["src/environment.ts", "src/logger.ts", "cli/"],
  },
  {
    what: "the file system",
    pattern:
      /\bDeno\.(open|read\w*File|write\w*File|mkdir|makeTemp\w+|remove|rename|stat|lstat|readDir|copyFile|watchFs|fsFile)\w*\(|"node:fs(\/promises)?"/,
    allowed: [
      "src/persistence/",
      "src/file_storage/",
      "src/deploy/",
      "src/logs/",
      "src/maintenance/",
      "src/snapshots/",
      "src/metrics/process_memory.ts",
      "src/metrics/open_files.ts",
      // Node.js reads modules from files under their own names.
      "src/isolate/node_program.ts",
      "src/isolate/node_installations.ts",
      "cli/",
    ],
  },
  {
    what: "arguments, environment variables, exit or signals",
    pattern: /\bDeno\.(args|env|exit|addSignalListener)\b/,
    // A child process inherits what it needs to find its own files.
    allowed: ["main.ts", "cli/", "src/isolate/executor_process.ts"],
  },
  {
    what: "esbuild",
    pattern: /"esbuild"/,
    allowed: [
      "src/deploy/bundle.ts",
      "src/deploy/bundle_plugins.ts",
      "src/deploy/external_imports.ts",
      "src/deploy/folder_bundler.ts",
      "src/deploy/import_chains.ts",
      "src/isolate/node_program.ts",
    ],
  },
  {
    what: "the address of a module",
    pattern: /\bimport\.meta\.(url|resolve|dirname|filename|main)\b/,
    allowed: ["src/program_files.ts"],
  },
  { what: "the console", pattern: /\bconsole\.\w+\(/, allowed: ["src/logger.ts", "cli/"] },
];

for (const { what, invariant, pattern, allowed } of resources) {
  Deno.test(`${invariant === undefined ? "" : `${invariant}, `}tidy: ${what} is touched only where it may be`, () => {
    const wrong = product
      .filter((file) => !isTest(file) && !file.path.startsWith("runtime/"))
      .filter(({ path }) =>
        !allowed.some((place) => place.endsWith("/") ? path.startsWith(place) : path === place)
      )
      .filter(({ code }) => pattern.test(code))
      .map(({ path, code }) => `${path}: ${pattern.exec(code)?.[0]}`);
    assert.deepEqual(wrong, []);
  });
}

Deno.test("tidy: packages come from npm under the names of deno.json, Node's modules as node:", () => {
  const { imports } = JSON.parse(Deno.readTextFileSync(`${root}deno.json`));
  for (const [name, specifier] of Object.entries(imports)) {
    assert.match(specifier as string, /^npm:(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+$/, name);
  }
  const names = Object.keys(imports);
  // Apps that tests write import what their fixture installs.
  for (const { name } of Deno.readDirSync(`${root}tests/fixtures`)) {
    const path = `tests/fixtures/${name}/package.json`;
    if (!exists(path)) continue;
    names.push(...Object.keys(JSON.parse(Deno.readTextFileSync(root + path)).dependencies ?? {}));
  }
  const wrong: string[] = [];
  for (const { path, references } of everything) {
    for (const { target, kind } of references) {
      if (kind === "url" || isOurs(target) || /^(node|data):/.test(target)) continue;
      if (names.some((name) => target === name || target.startsWith(`${name}/`))) continue;
      wrong.push(`${path} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("tidy: of the packages, few are loaded before the first request", () => {
  const files = new Map(product.map((file) => [file.path, file]));
  const loaded = new Set<string>();
  const load = (path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const { target, kind } of files.get(path)?.references ?? []) {
      if (kind === "value") load(target);
    }
  };
  [
    "main.ts",
    "cli/serve.ts",
    "src/committer/worker.ts",
    "runtime/main.ts",
    "runtime/isolate.ts",
  ]
    .forEach(load);
  const packages = [...loaded].filter((target) => !isOurs(target) && !target.startsWith("node:"));
  // Each costs every start milliseconds and megabytes: zod takes 25 ms and 7 MB.
  assert.deepEqual(packages.sort(), ["commander", "croner", "object-inspect"]);
});

Deno.test("tidy: files are called after what they hold, in snake_case", () => {
  const wrong = everything.map(({ path }) => path).filter((path) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return !/^[a-z0-9]+(_[a-z0-9]+)*\.ts$/.test(name) ||
      /^(utils?|helpers?|types|common|misc|index)\.ts$/.test(name);
  });
  assert.deepEqual(wrong, []);
});

Deno.test("tidy: no file is dead", () => {
  const files = new Map(everything.map((file) => [file.path, file]));
  const reach = (entries: readonly string[]): Set<string> => {
    const reached = new Set<string>();
    const visit = (path: string): void => {
      const file = files.get(path);
      if (file === undefined || reached.has(path)) return;
      reached.add(path);
      for (const { target } of file.references) visit(target);
    };
    entries.forEach(visit);
    return reached;
  };
  const programs = ["main.ts", "packaging/main.ts", "bench/main.ts", "tests/uncovered.ts"];
  const live = reach([...programs, ...Object.values(programModules), nodeModule]);
  const testing = reach(everything.filter(isTest).map(({ path }) => path));
  const isForTests = (path: string) =>
    /^tests\/|_(arbitrary|fake|testing)\.ts$|^src\/persistence\/memory\.ts$/.test(path);
  const dead = everything.map(({ path }) => path)
    .filter((path) => !live.has(path) && !(isForTests(path) && testing.has(path)))
    .filter((path) => !path.endsWith("_test.ts"));
  assert.deepEqual(dead, []);
});

Deno.test("tidy: nothing of the product knows of packing, tests, measurements or examples", () => {
  const wrong = product.filter((file) => !isTest(file)).flatMap(({ path, references }) =>
    references.filter(({ target }) => /^(packaging|tests|bench|examples)\//.test(target))
      .map(({ target }) => `${path} refers to ${target}`)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("tidy: the table of docs/settings.md is the one of src/config.ts", () => {
  checkMadePart("docs/settings.md", settingsTable());
});
