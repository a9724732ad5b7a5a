/**
 * The commands of the program, in one table: it feeds parsing, help, completion and documentation. A command's own code
 * is loaded when it is called.
 */
import { Option } from "commander";
import type { BundleOptions } from "../src/deploy/bundle.ts";
import type { ApiClient } from "./api_client.ts";
import type { Shell } from "./completion.ts";
import type { DataOptions } from "./data.ts";
import type { DevOptions } from "./dev.ts";
import type { DoctorOptions } from "./doctor.ts";
import { describeFailure, exitStatus, UsageError } from "./failure.ts";
import type { ConfigOptions } from "./show_config.ts";
import type { ImportOptions } from "./import.ts";
import type { LogsOptions } from "./logs.ts";
import {
  app,
  bundling,
  type BundlingOptions,
  component,
  data,
  host,
  json,
  listening,
  parseCount,
  parseDuration,
  port,
  type ServeOptions,
  server,
  type ServerOptions,
} from "./options.ts";
import {
  type Call,
  type CommandDefinition,
  type CommandGroup,
  type ProgramDefinition,
  runProgram,
} from "./program.ts";
import type { TestServerOptions } from "./test_server.ts";
import { styler } from "./terminal.ts";
import { version } from "./version.ts";

type DeployOptions = ServerOptions & BundlingOptions & { readonly app: string };

const develop: CommandGroup = {
  title: "Write an app:",
  commands: [
    define<Record<never, never>>({
      usage: "init [folder]",
      summary: "make an app: functions, a schema, an HTTP action and a page",
      details: "Files that are there already are left as they are. The page needs no build step, " +
        "and nothing has to be installed; `npm install` adds types for editors and the official command line.",
      arguments: { folder: "where, by default the current folder" },
      examples: ["init", "init my-app"],
      options: [],
      run: async (_options, { args }) => (await import("./init.ts")).init(args[0] ?? "."),
    }),
    define<DevOptions & BundlingOptions>({
      usage: "dev",
      summary: "serve an app, push it whenever a file changes, show logs and full errors",
      details:
        "`hull` without a command does the same. Where there is no app yet, it waits for one.",
      examples: ["dev", "dev --app examples/chat --port 0", "dev --once"],
      options: [
        app(),
        ...listening(),
        new Option("--once", "push once, then stop; the exit status says whether it worked"),
        ...bundling(),
      ],
      run: async (options) => {
        if (options.debugBundlePath !== undefined) return await debugBundle(options);
        return await (await import("./dev.ts")).dev(options, bundlingOf(options));
      },
    }),
    define<DeployOptions>({
      usage: "deploy",
      summary: "push an app to a server once",
      examples: ["deploy --url https://api.example.com --admin-key 'hull|…'"],
      options: [app(), ...server(), ...bundling()],
      run: async (options, call) => {
        if (options.debugBundlePath !== undefined) return await debugBundle(options);
        const client = await connectTo(options, call);
        return await (await import("./deploy.ts")).deploy(options, client, bundlingOf(options));
      },
    }),
  ],
};

const use: CommandGroup = {
  title: "Use a server:",
  commands: [
    define<ServerOptions & { readonly component?: string }>({
      usage: "run <function> [args]",
      summary: "call a function, internal ones included, and print its result as JSON",
      arguments: { function: "such as messages:list", args: "a JSON object" },
      examples: [`run messages:send '{ "author": "Ada", "body": "Hello" }'`],
      options: [
        component("call a function of this component: child/grandchild"),
        ...server(),
      ],
      run: async (options, call) => {
        const [path, args = "{}"] = call.args;
        const client = await connectTo(options, call);
        return (await import("./run.ts")).run(client, path!, args, options.component);
      },
    }),
    {
      name: "env",
      summary: "set, get, list or remove environment variables that functions read",
      members: [
        define<ServerOptions>({
          usage: "set <name> [value]",
          summary: "set a variable",
          details:
            "Without a value it comes from standard input, which keeps a secret out of the shell's " +
            "history. What begins with a dash comes from there, or after `--`.",
          examples: ["env set CITY Oslo", "env set JWT_PRIVATE_KEY < key.pem"],
          options: server(),
          run: async (options, call) =>
            (await import("./env.ts")).setVariable(
              await connectTo(options, call),
              call.args[0]!,
              call.args[1],
            ),
        }),
        define<ServerOptions>({
          usage: "get <name>",
          summary: "print the value of a variable",
          options: server(),
          run: async (options, call) =>
            (await import("./env.ts")).printVariable(await connectTo(options, call), call.args[0]!),
        }),
        define<ServerOptions & { readonly json?: boolean }>({
          usage: "list",
          summary: "print all variables, as lines of an .env file",
          options: [json("print one JSON object"), ...server()],
          run: async (options, call) =>
            (await import("./env.ts")).listVariables(await connectTo(options, call), options),
        }),
        define<ServerOptions>({
          usage: "remove <name>",
          summary: "remove a variable",
          options: server(),
          run: async (options, call) =>
            (await import("./env.ts")).removeVariable(
              await connectTo(options, call),
              call.args[0]!,
            ),
        }),
      ],
    },
    define<ServerOptions & DataOptions & { readonly json?: boolean }>({
      usage: "data [table]",
      summary: "list the tables, or show the documents of one",
      examples: ["data", "data messages --limit 5", "data messages --order asc --format jsonl"],
      options: [
        new Option("--limit <number>", "of documents to show").argParser(parseCount(1_000_000))
          .default(100),
        new Option("--order <order>", "of creation: desc shows the newest first")
          .choices(["asc", "desc"]).default("desc"),
        new Option("--format <format>", "json and jsonl can be imported")
          .choices(["table", "json", "jsonl"]).default("table"),
        json("the same as --format json"),
        component("look into this component: child/grandchild"),
        ...server(),
      ],
      run: async ({ json, ...options }, call) => {
        const client = await connectTo(options, call);
        const { listTables, showTable } = await import("./data.ts");
        const shown = { ...options, ...json && { format: "json" as const } };
        const [table] = call.args;
        return table === undefined
          ? await listTables(client, shown)
          : await showTable(client, table, shown);
      },
    }),
    define<ServerOptions & ImportOptions>({
      usage: "import <file>",
      summary: "put documents from a file into tables: all of them, or none",
      details:
        "The file is CSV, lines of JSON, a JSON array, or a ZIP file that `hull export`, `npx convex export` " +
        "or a dashboard made. Tables must be empty unless --append or --replace is given.",
      examples: ["import people.csv --table people", "import export.zip --replace-all --yes"],
      options: [
        new Option("--table <name>", "that the documents go into; not for ZIP files"),
        new Option("--format <format>", "in place of what the file's name says")
          .choices(["csv", "jsonLines", "jsonArray", "zip"]),
        component("put them into this component: child/grandchild"),
        new Option("--append", "add to what the tables hold"),
        new Option("--replace", "put the documents in the place of what their tables hold"),
        new Option("--replace-all", "and empty all other tables"),
        new Option("-y, --yes", "delete what is replaced without asking"),
        ...server(),
      ],
      run: async (options, call) =>
        (await import("./import.ts"))
          .importData(await connectTo(options, call), call.args[0]!, options),
    }),
    define<ServerOptions & { readonly files: boolean }>({
      usage: "export <path>",
      summary: "write all documents and files into a ZIP file, as of one moment",
      details:
        "Hull and Convex import it. Code, environment variables and jobs are not in it: for those, " +
        "`hull backup` is there.",
      examples: ["export monday.zip", "export . --no-files"],
      arguments: { path: "new file, or folder to make it in" },
      options: [new Option("--no-files", "leave stored files out"), ...server()],
      run: async (options, call) =>
        (await import("./export.ts"))
          .exportData(await connectTo(options, call), call.args[0]!, options),
    }),
    define<ServerOptions & LogsOptions>({
      usage: "logs",
      summary: "show what functions logged and how they failed",
      examples: ["logs --follow", "logs --since 2h --json"],
      options: [
        new Option("-f, --follow", "go on with what comes"),
        // At most what one answer of the server holds.
        new Option("-n, --number <number>", "of entries to show, the newest")
          .argParser(parseCount(1000)).default(100),
        new Option("--since <duration>", "show all from then on: 90s, 15m, 2h, 7d")
          .argParser(parseDuration),
        new Option("--success", "say of functions that succeeded how long they took"),
        json("print each entry as a line of JSON"),
        ...server(),
      ],
      run: async (options, call) =>
        (await import("./logs.ts")).logs(await connectTo(options, call), options),
    }),
  ],
};

const operate: CommandGroup = {
  title: "Operate a server:",
  commands: [
    define<ServeOptions>({
      usage: "serve",
      summary: "serve what was deployed; clients see neither logs nor details of errors",
      examples: ["serve --host 0.0.0.0 --data /var/lib/hull"],
      options: listening(),
      run: async (options) => (await import("./serve.ts")).serve(options),
    }),
    define<TestServerOptions>({
      usage: "test-server",
      summary: "serve an app for its tests: empty, in memory, with a clock that tests move",
      details: "It ends, and its data with it, when its standard input does or at a signal. " +
        "Start it from tests with the module that --write-client writes.",
      examples: ["test-server --app .", "test-server --write-client tests/hull_testing.ts"],
      options: [
        new Option("--app <dir>", "folder of the app to push, with convex/ in it"),
        port().default(0),
        host(),
        new Option(
          "--write-client <file>",
          "write a TypeScript module for tests, without dependencies",
        ),
      ],
      run: async (options) => (await import("./test_server.ts")).testServer(options),
    }),
    define<ServerOptions>({
      usage: "backup <file>",
      summary: "write database, code and files into one new file, while the server runs or not",
      details: "With --data it takes that folder, whether its server runs or not.",
      examples: ["backup monday.tar", "backup monday.tar --data /var/lib/hull"],
      options: server(),
      run: async (options, call) => {
        const folder = call.isGiven("data") && !call.isGiven("url") ? options.data : undefined;
        const source = folder ?? await connectTo(options, call);
        return (await import("./backup.ts")).backup(call.args[0]!, source);
      },
    }),
    define<{ readonly data: string }>({
      usage: "restore <file>",
      summary: "unpack a backup into an empty data folder",
      options: [data()],
      run: async (options, { args }) =>
        (await import("./restore.ts")).restoreFile(args[0]!, options.data),
    }),
    define<{ readonly data: string }>({
      usage: "check",
      summary: "read everything in the data folder of a stopped server and report what is wrong",
      options: [data()],
      run: async (options) => (await import("./check.ts")).check(options.data),
    }),
    define<Omit<DoctorOptions, "isDataGiven">>({
      usage: "doctor",
      summary: "find and explain what keeps a server or an app from working",
      details:
        "Looks at this machine, settings, data folder, port, server, admin key, app, Node.js and " +
        "identity providers. Changes nothing but convex/_generated, which is written as before a push.",
      options: [app(), json("print what was found as JSON"), host(), port(), ...server()],
      run: async (options, call) =>
        (await import("./doctor.ts")).doctor({ ...options, isDataGiven: call.isGiven("data") }),
    }),
    define<ConfigOptions>({
      usage: "config",
      summary: "show the settings that a server started here would have, and where each comes from",
      details:
        "Settings come from the command line, else from the environment, else from hull.json in the current " +
        "folder.",
      examples: ["config", "config --schema > hull.schema.json"],
      options: [
        json("print them as JSON"),
        new Option("--schema", "print a JSON schema of hull.json, for editors"),
        app(),
        ...listening(),
      ],
      run: async (options, call) => (await import("./show_config.ts")).showConfig(options, call),
    }),
    define<{ readonly data: string }>({
      usage: "admin-key",
      summary: "print the admin key of a server on this machine",
      options: [data()],
      run: async (options) => (await import("./admin_key.ts")).adminKey(options.data),
    }),
  ],
};

const help: CommandGroup = {
  title: "Help:",
  commands: [
    define<Record<never, never>>({
      usage: "completion <shell>",
      summary: "print what bash, zsh or fish needs to complete commands and options",
      arguments: { shell: "bash, zsh or fish" },
      choices: { shell: ["bash", "zsh", "fish"] },
      examples: ["completion bash > ~/.local/share/bash-completion/completions/hull"],
      options: [],
      run: async (_options, { args }) => {
        const { completionScript } = await import("./completion.ts");
        console.log(completionScript(args[0] as Shell, programDefinition).trimEnd());
        return exitStatus.done;
      },
    }),
  ],
};

const footer =
  `\`hull\` alone is \`hull dev\`. Commands that use a server find it by --url and --admin-key, by
CONVEX_SELF_HOSTED_URL and CONVEX_SELF_HOSTED_ADMIN_KEY in the environment, .env.local or .env,
or on this machine by its data folder. What is not given on the command line or in the
environment is looked up in hull.json.

Exit status: 0 done; 1 failed, or a check found something; 2 the command line is wrong;
130 ended by a second Ctrl-C.`;

export const programDefinition: ProgramDefinition = {
  version,
  description: "A reactive backend in one program.",
  groups: [develop, use, operate, help],
  defaultCommand: "dev",
  settings: async () => await (await import("./hull_json.ts")).loadHullJson(),
  footer,
};

/** Runs what the command line asks for and resolves with the exit status. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  // Hidden: the server starts its executors with it.
  if (args[0] === "executor") {
    return await (await import("../runtime/executor.ts")).runExecutor(args.slice(1));
  }
  try {
    return await runProgram(programDefinition, args);
  } catch (error) {
    console.error(styler(Deno.stderr)("red", "✖"), describeFailure(error));
    return error instanceof UsageError ? exitStatus.usage : exitStatus.failed;
  }
}

function define<Options>(definition: CommandDefinition<Options>): CommandDefinition<unknown> {
  return definition as CommandDefinition<unknown>;
}

async function connectTo(options: ServerOptions, call: Call): Promise<ApiClient> {
  return await (await import("./connection.ts")).connect(options, call.isGiven("data"));
}

function bundlingOf({ debugNodeApis = false }: BundlingOptions): BundleOptions {
  return { tracesNodeApis: debugNodeApis };
}

async function debugBundle(
  options: BundlingOptions & { readonly app: string },
): Promise<number> {
  return await (await import("./debug_bundle.ts"))
    .writeDebugBundle(options.app, options.debugBundlePath!, bundlingOf(options));
}
