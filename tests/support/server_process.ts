/**
 * A real server in a process of its own, on a temporary data folder and a free port, used as its users use it:
 * through the command line, HTTP and WebSockets. Stopping it always ends with a check of its database.
 */
import assert from "node:assert/strict";
import { checkSoundness } from "./database_check.ts";
import { environmentOfTests, programCommand } from "./program.ts";
import { within } from "./waiting.ts";

const startTimeoutMs = 60_000;
const stopTimeoutMs = 30_000;

export interface ServerOptions {
  /** `serve` if left out; null: none, as whoever just calls the program. */
  readonly command?: "serve" | "dev" | null;
  /** Folder in which it is started. */
  readonly cwd?: string;
  /** Folder of the app that `dev` watches. */
  readonly app?: string;
  /** Kept after `stop` if given; otherwise a temporary folder. */
  readonly dataFolder?: string;
  readonly port?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly arguments?: readonly string[];
  /** What to start instead of the program under test. */
  readonly executable?: string;
}

/** Settings for tests of what runs at the same time: two isolates from the first call on, not when calls have waited. */
export const sideBySide = { HULL_TRANSACTION_ISOLATES_AT_FIRST: "2" };

export class ServerProcess implements AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly dataFolder: string;
  readonly #process: Deno.ChildProcess;
  readonly #output: OutputLog;
  readonly #removeData: boolean;
  #ended = false;

  private constructor(
    url: string,
    dataFolder: string,
    removeData: boolean,
    process: Deno.ChildProcess,
    output: OutputLog,
  ) {
    this.url = url;
    this.dataFolder = dataFolder;
    this.#removeData = removeData;
    this.#process = process;
    this.#output = output;
  }

  /** Starts a server and waits for the line that says where it listens. */
  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const dataFolder = options.dataFolder ?? await Deno.makeTempDir({ prefix: "hull-data-" });
    const [program, ...args] = programCommand([
      ...(options.command === null ? [] : [options.command ?? "serve"]),
      ...(options.app === undefined ? [] : ["--app", options.app]),
      "--data",
      dataFolder,
      "--port",
      String(options.port ?? 0),
      ...(options.arguments ?? []),
    ], options.executable);
    const process = new Deno.Command(program, {
      args,
      env: { NO_COLOR: "1", ...options.environment },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = new OutputLog(process);
    const ready = output.firstMatch(/https?:\/\/[\w.]+:\d+/);
    const failed = process.status.then(({ code }) => {
      throw new Error(`the server ended with code ${code} before it was ready:\n${output.text}`);
    });
    failed.catch(() => {});
    try {
      const url = await within(Promise.race([ready, failed]), startTimeoutMs, "the ready line");
      const removeData = options.dataFolder === undefined;
      return new ServerProcess(url, dataFolder, removeData, process, output);
    } catch (error) {
      try {
        process.kill("SIGKILL");
      } catch { /* It ended by itself. */ }
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Everything it printed so far. */
  get log(): string {
    return this.#output.text;
  }

  /** Resolves with what matches in the first line that does, among those printed already or later. */
  async firstLine(pattern: RegExp, timeoutMs = 30_000): Promise<string> {
    return await within(this.#output.firstMatch(pattern), timeoutMs, `a line matching ${pattern}`);
  }

  /** Like `firstLine`, for lines printed from now on. */
  async nextLine(pattern: RegExp): Promise<string> {
    return await within(this.#output.nextMatch(pattern), 30_000, `a line matching ${pattern}`);
  }

  get adminKey(): string {
    return Deno.readTextFileSync(`${this.dataFolder}/admin_key`).trim();
  }

  /** Runs one of the program's other commands against this server. */
  async command(...args: string[]): Promise<CommandResult> {
    return await runCommand([...args, "--url", this.url, "--admin-key", this.adminKey]);
  }

  /** Pushes the app in `folder`; throws with the command's output if that fails. */
  async deploy(folder: string): Promise<void> {
    const result = await this.command("deploy", "--app", folder);
    assert.equal(result.code, 0, `hull deploy failed:\n${result.output}`);
  }

  /** True while the process that was started is still the one that runs. */
  get isRunning(): boolean {
    return !this.#ended && processExists(this.pid);
  }

  /** Ends it as an operator would, expects a clean exit, and checks the database. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const gone = childrenOf(this.pid);
    this.#process.kill("SIGTERM");
    const status = await within(this.#process.status, stopTimeoutMs, "the server to stop");
    await this.#output.ended;
    assert.equal(status.code, 0, `the server stopped with code ${status.code}:\n${this.log}`);
    for (const pid of gone) {
      assert.ok(!processExists(pid), `child process ${pid} outlived the server`);
    }
    await checkSoundness(this.dataFolder);
    await this.#removeFolder();
  }

  /** Ends it without warning; the data folder stays for the next one. */
  async kill(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.#process.kill("SIGKILL");
    } catch { /* It ended by itself. */ }
    await this.#process.status;
    await this.#output.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #removeFolder(): Promise<void> {
    if (this.#removeData) await Deno.remove(this.dataFolder, { recursive: true });
  }
}

export interface CommandResult {
  readonly code: number;
  /** Standard output alone. */
  readonly stdout: string;
  /** Both streams, for messages. */
  readonly output: string;
}

/** Runs the program with these arguments to its end. */
export async function runCommand(
  args: readonly string[],
  { environment = {}, input = "", ...options }: {
    readonly cwd?: string;
    readonly environment?: Readonly<Record<string, string>>;
    /** What its standard input has. */
    readonly input?: string;
  } = {},
): Promise<CommandResult> {
  const decoder = new TextDecoder();
  const [program, ...words] = programCommand(args);
  const child = new Deno.Command(program, {
    args: words,
    clearEnv: true,
    env: { ...environmentOfTests(), NO_COLOR: "1", ...environment },
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    ...options,
  }).spawn();
  // A program that reads nothing may be gone before all is written.
  new Blob([input]).stream().pipeTo(child.stdin).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = decoder.decode(stdout);
  return { code, stdout: text, output: text + decoder.decode(stderr) };
}

/** Process ids of the direct children of a process. */
export function childrenOf(pid: number): number[] {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`)
      .split(" ").filter((text) => text.trim() !== "").map(Number);
  } catch {
    return []; // Only Linux tells.
  }
}

export function processExists(pid: number): boolean {
  try {
    // A process that ended but was not waited for yet is gone for our purpose.
    return !/\) Z /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

/** Collects what a process prints and lets tests wait for lines. */
export class OutputLog {
  /** Resolves when both streams have ended. */
  readonly ended: Promise<unknown>;
  readonly #lines: string[] = [];
  readonly #waiting = new Set<{ pattern: RegExp; resolve(match: string): void }>();

  constructor(process: Deno.ChildProcess) {
    this.ended = Promise.all([this.#read(process.stdout), this.#read(process.stderr)]);
  }

  get text(): string {
    return this.#lines.join("\n");
  }

  firstMatch(pattern: RegExp): Promise<string> {
    for (const line of this.#lines) {
      const match = pattern.exec(line);
      if (match !== null) return Promise.resolve(match[0]);
    }
    return this.nextMatch(pattern);
  }

  nextMatch(pattern: RegExp): Promise<string> {
    return new Promise((resolve) => this.#waiting.add({ pattern, resolve }));
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#add(line);
    }
    if (rest !== "") this.#add(rest);
  }

  #add(line: string): void {
    this.#lines.push(line);
    for (const waiter of this.#waiting) {
      const match = waiter.pattern.exec(line);
      if (match === null) continue;
      this.#waiting.delete(waiter);
      waiter.resolve(match[0]);
    }
  }
}
