/** The commands of the program, in one table. A command's own code is loaded when it is called. */
import { Command, InvalidArgumentError, Option } from "commander";
import type { LogFormat } from "../src/logger.ts";
import { ApiClient } from "./api_client.ts";
import type { LogsOptions } from "./logs.ts";

/** Options of the commands that start a server. */
export interface ServeOptions {
  readonly port: number;
  readonly sitePort?: number;
  readonly host: string;
  readonly data: string;
  readonly logFormat: LogFormat;
  readonly discardEnv?: boolean;
}

interface ServerOptions {
  readonly url: string;
  readonly adminKey: string;
}

/** Of a command for a running server or a stopped one's folder. */
export interface ServerOrDataOptions extends Partial<ServerOptions> {
  readonly data?: string;
}

/** Of the commands that bundle an app. */
export interface BundlingOptions {
  readonly debugBundlePath?: string;
  readonly debugNodeApis?: boolean;
}

interface CommandDefinition<Options> {
  /** Name and arguments: `run <function> [args]`. */
  readonly usage: string;
  readonly description: string;
  readonly options: readonly Option[];
  /** Resolves with the exit status. */
  readonly run: (options: Options, ...args: string[]) => Promise<number>;
}

const app = () => new Option("--app <dir>", "folder of the app, with convex/ in it").default(".");
const data = () => new Option("--data <dir>", "folder of the database and files").default(".hull");
const listening = () => [
  new Option("--port <number>", "port to listen on; 0 takes a free one").argParser(parsePort)
    .default(3210),
  new Option("--site-port <number>", "second port, for HTTP actions alone").argParser(parsePort),
  new Option("--host <address>", "address to listen on").default("127.0.0.1"),
  new Option("--log-format <format>", "of the server's own log").choices(["text", "json"])
    .default("text").env("HULL_LOG_FORMAT"),
  new Option("--discard-env", "start without environment variables whose encryption key is lost"),
  data(),
];
const server = () => [
  new Option("--url <url>", "address of the server").env("CONVEX_SELF_HOSTED_URL")
    .makeOptionMandatory(),
  new Option("--admin-key <key>", "its admin key").env("CONVEX_SELF_HOSTED_ADMIN_KEY")
    .makeOptionMandatory(),
];
/** For commands that work on a running server or, without one, on its data folder. */
const serverOrData = () => [
  new Option("--url <url>", "address of a running server").env("CONVEX_SELF_HOSTED_URL"),
  new Option("--admin-key <key>", "its admin key").env("CONVEX_SELF_HOSTED_ADMIN_KEY"),
  new Option("--data <dir>", "folder of a server that is stopped"),
];
const bundling = () => [
  new Option("--debug-bundle-path <dir>", "write the bundle to this folder instead of pushing it"),
  new Option("--debug-node-apis", "show which imports lead to modules of Node.js"),
];
const bundlingOf = ({ debugNodeApis = false }: BundlingOptions) => ({
  tracesNodeApis: debugNodeApis,
});
const debugBundle = async (options: BundlingOptions & { readonly app: string }) =>
  (await import("./debug_bundle.ts"))
    .writeDebugBundle(options.app, options.debugBundlePath!, bundlingOf(options));
const clientOf = ({ url, adminKey }: ServerOptions) => new ApiClient(url, adminKey);

const commands = [
  define<ServeOptions & BundlingOptions & { readonly app: string; readonly once?: boolean }>({
    usage: "dev",
    description: "serve an app, push it whenever a file changes, show logs and full errors",
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
  define<ServeOptions>({
    usage: "serve",
    description: "serve what was deployed; clients see neither logs nor details of errors",
    options: listening(),
    run: async (options) => (await import("./serve.ts")).serve(options),
  }),
  define<ServerOptions & BundlingOptions & { readonly app: string }>({
    usage: "deploy",
    description: "push an app to a server once",
    options: [app(), ...server(), ...bundling()],
    run: async (options) => {
      if (options.debugBundlePath !== undefined) return await debugBundle(options);
      const client = clientOf(options);
      return await (await import("./deploy.ts")).deploy(options.app, client, bundlingOf(options));
    },
  }),
  define<ServerOptions>({
    usage: "run <function> [args]",
    description: "call a function, internal ones included; args is a JSON object",
    options: server(),
    run: async (options, path, args) =>
      (await import("./run.ts")).run(clientOf(options), path!, args ?? "{}"),
  }),
  define<ServerOptions>({
    usage: "env <action> [name] [value]",
    description: "set, get, list or remove environment variables that functions read",
    options: server(),
    run: async (options, ...args) => (await import("./env.ts")).env(clientOf(options), args),
  }),
  define<ServerOptions & LogsOptions>({
    usage: "logs",
    description: "show what functions logged and how they failed",
    options: [
      new Option("-f, --follow", "go on with what comes"),
      new Option("-n, --number <number>", "of entries to show, the newest").argParser(parseNumber)
        .default(100),
      new Option("--since <duration>", "show all from then on: 90s, 15m, 2h, 7d")
        .argParser(parseDuration),
      new Option("--success", "say of functions that succeeded how long they took"),
      new Option("--json", "print each entry as a line of JSON"),
      ...server(),
    ],
    run: async (options) => (await import("./logs.ts")).logs(clientOf(options), options),
  }),
  define<ServerOrDataOptions>({
    usage: "backup <file>",
    description: "write database, code and files into one new file, while the server runs or not",
    options: serverOrData(),
    run: async (options, file) => (await import("./backup.ts")).backup(file!, options),
  }),
  define<{ readonly data: string }>({
    usage: "restore <file>",
    description: "unpack a backup into an empty data folder",
    options: [data()],
    run: async (options, file) => (await import("./restore.ts")).restoreFile(file!, options.data),
  }),
  define<{ readonly data: string }>({
    usage: "check",
    description: "read everything in the data folder of a stopped server and report what is wrong",
    options: [data()],
    run: async (options) => (await import("./check.ts")).check(options.data),
  }),
  define<{ readonly data: string }>({
    usage: "admin-key",
    description: "print the admin key of a server on this machine",
    options: [data()],
    run: async (options) => (await import("./admin_key.ts")).adminKey(options.data),
  }),
];

/** Runs what the command line asks for and resolves with the exit status. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  // Hidden: the server starts its executors with it.
  if (args[0] === "executor") {
    return await (await import("../runtime/executor.ts")).runExecutor(args.slice(1));
  }
  const program = new Command("hull").description("A reactive backend in one program.");
  let status = 0;
  for (const definition of commands) {
    const command = program.command(definition.usage).description(definition.description);
    for (const option of definition.options) command.addOption(option);
    command.action(async () => {
      status = await definition.run(command.opts(), ...command.args);
    });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    console.error(describe(error));
    return 1;
  }
}

function define<Options>(definition: CommandDefinition<Options>): CommandDefinition<unknown> {
  return definition as CommandDefinition<unknown>;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("Give a number from 0 to 65535.");
}

/** At most what one answer of the server holds. */
function parseNumber(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= 1000) return Number(text);
  throw new InvalidArgumentError("Give a number from 0 to 1000, or use --since.");
}

const unitsMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** @returns milliseconds. */
function parseDuration(text: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (count !== undefined) return Number(count) * unitsMs[unit!]!;
  throw new InvalidArgumentError("Give a number and one of the units s, m, h, d.");
}

/** Errors that say what to do are shown as they are; for others the stack tells where Hull is at fault. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isFault = /^(?:Type|Reference|Syntax|Assertion)Error$/.test(error.name) ||
    error.message.startsWith("Invariant broken");
  return isFault ? `A mistake in Hull itself:\n${error.stack}` : error.message;
}
