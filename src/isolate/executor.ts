/**
 * One executor process and its isolates, as the server sees them.
 *
 * 1. The process starts with the object, or a moment later if starting has been failing. What is sent meanwhile
 *    waits.
 * 2. `spawn` starts isolates; each tells its own listener what happens to it.
 * 3. `retire`: no more isolates; when the last one is gone the process ends.
 * 4. When the process ends, however it came to that, every isolate that was left dies with reason `exit`.
 */
import { fileURLToPath } from "node:url";
import { assert } from "../assert.ts";
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { log } from "../logger.ts";
import { moduleUrl, programFolder } from "../program_files.ts";
import { ExecutorProcess, inheritedVariables, type ProcessCommand } from "./executor_process.ts";
import { decodeFrame, encodeFrame, frameIsolate } from "./frames.ts";
import { Isolate, type IsolateLink, type IsolateListener } from "./isolate.ts";
import { idleIsolateMiB, type IsolateKind } from "./isolate_data.ts";
import { parseFromExecutor } from "./parse_message.ts";
import type { ToExecutor } from "./protocol.ts";

export interface ExecutorSettings {
  readonly kind: IsolateKind;
  readonly config: Config;
  readonly environment: Environment;
  readonly databasePath: string;
  /** Isolates start when the database is there; their process, which takes as long to start, does not wait for it. */
  readonly databaseOpened: Promise<unknown>;
  /** Folder with the database and the deployed modules: isolates may read it. */
  readonly dataFolder: string;
  /** URL of what isolates run. */
  readonly isolateModule: string;
  /** Isolates alive at the same time, at most. */
  readonly isolatesMax: number;
}

export interface ExecutorEvents {
  /** Resident memory of the process, now and then while it works. */
  memory(executor: Executor, residentBytes: number): void;
  /** An isolate is about to be reported dead in the middle of a call; its thread may go on running. */
  cutOff(executor: Executor): void;
  /** The process is gone, but its isolates do not know yet. */
  exited(executor: Executor): void;
}

export class Executor {
  readonly #settings: ExecutorSettings;
  readonly #events: ExecutorEvents;
  #process: ExecutorProcess | null = null;
  /** What was sent before the process started, or before the database was there; null when it has been passed on. */
  #early: Uint8Array<ArrayBuffer>[] | null = [];
  readonly #isolates = new Map<number, Isolate>();
  readonly #link: IsolateLink = {
    send: (frame) => this.#send(frame),
    terminate: (isolate) => this.#tell({ type: "terminate", isolate }),
  };
  #ready = false;
  #retired = false;
  /** Set when the end of the process is wanted, and so nothing to report. */
  #closing: Promise<void> | null = null;

  constructor(settings: ExecutorSettings, events: ExecutorEvents, startDelayMs: number) {
    this.#settings = settings;
    this.#events = events;
    if (startDelayMs === 0) this.#start();
    else settings.environment.setTimer(startDelayMs, () => this.#start());
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  get isolateCount(): number {
    return this.#isolates.size;
  }

  /** Whether the process ever got as far as serving. */
  get wasReady(): boolean {
    return this.#ready;
  }

  /** Starts an isolate. `number` must never have been used before. */
  spawn(number: number, listener: IsolateListener): Isolate {
    assert(!this.#retired, "A retired executor starts no isolates");
    const isolate = new Isolate(number, this.#link, listener);
    this.#isolates.set(number, isolate);
    this.#tell({ type: "spawn", isolate: number });
    return isolate;
  }

  /** Starts no more isolates, and ends with the last one. */
  retire(): void {
    this.#retired = true;
    this.#closeWhenEmpty();
  }

  close(): Promise<void> {
    this.#closing ??= this.#process?.close() ?? Promise.resolve();
    return this.#closing;
  }

  #start(): void {
    if (this.#closing !== null) return;
    const { environment } = this.#settings;
    this.#process = new ExecutorProcess(executorCommand(this.#settings), environment, {
      frame: (frame) => this.#receive(frame),
      exited: (detail) => this.#exited(detail),
    });
    // That it cannot be opened is said where it is.
    this.#settings.databaseOpened.then(() => this.#sendEarly(), () => {});
  }

  #sendEarly(): void {
    for (const frame of this.#early ?? []) this.#process?.send(frame);
    this.#early = null;
  }

  #send(frame: Uint8Array<ArrayBuffer>): void {
    if (this.#early !== null) this.#early.push(frame);
    else this.#process?.send(frame);
  }

  #tell(message: ToExecutor): void {
    this.#send(encodeFrame(0, message));
  }

  #receive(frame: Uint8Array): void {
    const number = frameIsolate(frame);
    if (number !== 0) return this.#isolates.get(number)?.receive(frame);
    const message = parseFromExecutor(decodeFrame(frame).header);
    switch (message.type) {
      case "ready":
        this.#ready = true;
        return;
      case "memory":
        return this.#events.memory(this, message.residentBytes);
      case "died":
        if (message.callId !== null) this.#events.cutOff(this);
        this.#isolates.get(message.isolate)?.end(message);
        this.#isolates.delete(message.isolate);
        return this.#closeWhenEmpty();
    }
  }

  #closeWhenEmpty(): void {
    if (this.#retired && this.#isolates.size === 0) this.close();
  }

  #exited(detail: string): void {
    if (this.#closing === null) {
      log("warn", "An executor process ended and is replaced", {
        kind: this.#settings.kind,
        detail,
      });
    }
    this.#events.exited(this);
    const isolates = [...this.#isolates.values()];
    this.#isolates.clear();
    for (const isolate of isolates) isolate.end({ reason: "exit", callId: undefined, detail });
  }
}

/** glibc would give each thread memory of its own to allocate from, 3 MiB for an isolate; two for all are enough. */
const allocatorVariables = { MALLOC_ARENA_MAX: "2" };
/** V8 would keep every script that it compiled for as long as the isolate lives: all code that was ever deployed. */
const engineVariables = { DENO_V8_FLAGS: "--no-compilation-cache" };
/** Deno would ask its makers now and then whether there is a newer one. */
const quietVariables = { DENO_NO_UPDATE_CHECK: "1" };
/** Address space that V8 reserves without ever using it; it counts against the limit. In MiB. */
const reservedMiB = { process: 640, worker: 640, isolate: 88 };

/**
 * The command of an executor. From source it is a process that can read two folders and nothing else; a compiled
 * binary cannot be given less than it was compiled with and narrows its isolates itself (runtime/executor.ts).
 */
export function executorCommand(settings: ExecutorSettings): ProcessCommand {
  const { kind, config, databasePath, dataFolder, isolateModule, isolatesMax } = settings;
  const codeFolder = programFolder();
  const readFolders = [dataFolder, codeFolder];
  const shell = Deno.build.os !== "windows";
  const output = shell ? "/dev/fd/3" : null;
  const options = JSON.stringify({
    kind,
    databasePath,
    limits: config,
    memoryMiB: config.executorMemoryMiB,
    readFolders,
    isolateModule,
    output,
  });
  const command = Deno.build.standalone ? [Deno.execPath(), "executor", options] : [
    ...[Deno.execPath(), "run", "--quiet", "--no-prompt", "--cached-only", "--no-lock"],
    `--allow-read=${readFolders.map((folder) => folder.replaceAll(",", ",,")).join(",")}`,
    ...(output === null ? [] : [`--allow-write=${output}`]),
    ...(kind === "action" ? ["--allow-net"] : []),
    fileURLToPath(moduleUrl("executor")),
    options,
  ];
  const limitMiB = config.executorMemoryMiB + reservedMiB.process +
    (Deno.build.standalone ? reservedMiB.worker : 0) +
    isolatesMax * (reservedMiB.isolate + idleIsolateMiB);
  // Only Linux enforces this limit. Descriptor 3 becomes the way out for frames, standard output the way for noise.
  const limit = Deno.build.os === "linux" ? `ulimit -d ${limitMiB * 1024}; ` : "";
  const wrapper = shell ? ["sh", "-c", `${limit}exec "$@" 3>&1 1>&2`, "sh"] : [];
  const [program, ...args] = [...wrapper, ...command];
  const variables = {
    ...inheritedVariables(),
    ...allocatorVariables,
    ...engineVariables,
    ...quietVariables,
  };
  return { program: program!, args, variables };
}
