/**
 * The main thread of an executor process. It passes frames between the server's pipe and the MessagePorts of the
 * isolates without looking into them, starts and ends isolates, and watches them. User code never runs on it.
 *
 * 1. The server starts the process with one argument, JSON of ExecutorOptions.
 * 2. It opens its way out and gives up every permission that isolates shall not have. What is left is theirs
 *    too: they are threads of this process.
 * 3. It says `ready`, then serves `spawn`, `terminate` and frames to isolates.
 * 4. It ends when its standard input does, so a killed server leaves no orphan.
 *
 * Answers do not go to standard output but to a descriptor that nothing else writes to: whatever user code or a
 * library manages to print, it cannot be taken for a frame.
 */
import { errorMessage } from "../src/errors.ts";
import {
  decodeFrame,
  encodeFrame,
  FrameDecoder,
  frameIsolate,
  joinFrames,
  splitFrames,
  stampFrame,
} from "../src/isolate/frames.ts";
import { type ExpiryReason, Heartbeat } from "../src/isolate/heartbeat.ts";
import type { IsolateKind, IsolateLimits } from "../src/isolate/isolate_data.ts";
import type { FromExecutor, ToExecutor } from "../src/isolate/protocol.ts";
import { type Ended, type Host, ThreadHost } from "./host.ts";
import { WorkerHost } from "./host_worker.ts";
import { Watch } from "./watch.ts";

export interface ExecutorOptions {
  readonly kind: IsolateKind;
  readonly databasePath: string;
  readonly limits: IsolateLimits;
  readonly memoryMiB: number;
  /** Folders that isolates may read: data and code. */
  readonly readFolders: readonly string[];
  /** URL of what isolates run; runtime/isolate.ts unless a test says otherwise. */
  readonly isolateModule: string;
  /** Where frames go: a path, or null for standard output. */
  readonly output: string | null;
}

/** The hidden command `executor`: serves until standard input ends. */
export async function runExecutor(argv: readonly string[]): Promise<never> {
  const options = JSON.parse(argv[0]!) as ExecutorOptions;
  await new Executor(options).serve();
  Deno.exit(0);
}

class Executor {
  readonly #options: ExecutorOptions;
  readonly #output: { writeSync(bytes: Uint8Array): number };
  readonly #host: Host;
  readonly #watch: Watch;
  readonly #ports = new Map<number, MessagePort>();
  /** Frames of this turn; they leave in one write. */
  #outgoing: Uint8Array<ArrayBuffer>[] = [];

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#output = options.output === null
      ? Deno.stdout
      : Deno.openSync(options.output, { write: true });
    this.#host = startHost(
      options,
      (isolate, reason, detail) => this.#died(isolate, reason, detail),
    );
    this.#watch = new Watch({
      memoryMiB: options.memoryMiB,
      heapMiB: options.limits.isolateHeapMiB,
      // An action's time is that of its caller, who waits with it for others.
      countsProcessorTime: options.kind === "transaction",
    }, {
      expired: (isolate, reason) => this.#expire(isolate, reason),
      memory: (residentBytes) => this.#report({ type: "memory", residentBytes }),
      processorTimes: (isolates) => this.#host.processorTimes(isolates),
    });
  }

  async serve(): Promise<void> {
    this.#report({ type: "ready" });
    const decoder = new FrameDecoder();
    const chunk = new Uint8Array(64 * 1024);
    for (;;) {
      const count = await Deno.stdin.read(chunk);
      if (count === null) return;
      this.#receive(decoder.push(chunk.subarray(0, count)));
    }
  }

  /** Passes frames on, to each isolate all of its own in one message. */
  #receive(frames: readonly Uint8Array<ArrayBuffer>[]): void {
    const byIsolate = Map.groupBy(frames, frameIsolate);
    for (const frame of byIsolate.get(0) ?? []) this.#obey(decodeFrame(frame).header as ToExecutor);
    byIsolate.delete(0);
    for (const [isolate, own] of byIsolate) {
      const piece = joinFrames(own);
      // Without a port it died, and the server is about to read so.
      this.#ports.get(isolate)?.postMessage(piece, [piece.buffer]);
      this.#watch.wake();
    }
  }

  #obey(message: ToExecutor): void {
    if (message.type === "spawn") this.#spawn(message.isolate);
    else if (this.#end(message.isolate)) this.#died(message.isolate, "terminated");
  }

  #spawn(isolate: number): void {
    const { port1, port2 } = new MessageChannel();
    const heartbeat = Heartbeat.allocate();
    const { kind, databasePath, limits } = this.#options;
    this.#ports.set(isolate, port1);
    this.#watch.add(isolate, heartbeat);
    port1.onmessage = ({ data }) => this.#pass(isolate, data);
    this.#host.spawn({ port: port2, heartbeat, isolate, kind, databasePath, limits });
  }

  /** Frames from an isolate, which may be hostile: only what are frames leaves, and under its own number. */
  #pass(isolate: number, piece: unknown): void {
    if (!this.#ports.has(isolate)) return;
    try {
      if (!isBytes(piece)) throw new TypeError("Not bytes");
      for (const frame of splitFrames(piece)) stampFrame(frame, isolate);
      this.#send(piece);
    } catch (error) {
      this.#end(isolate);
      this.#died(isolate, "exit", errorMessage(error));
    }
  }

  #expire(isolate: number, reason: ExpiryReason): void {
    if (this.#end(isolate)) this.#died(isolate, reason);
  }

  /** False if it had ended already. */
  #end(isolate: number): boolean {
    if (!this.#ports.has(isolate)) return false;
    this.#host.terminate(isolate);
    return true;
  }

  #died(isolate: number, reason: (FromExecutor & { type: "died" })["reason"], detail = ""): void {
    const callId = this.#watch.running(isolate);
    this.#watch.remove(isolate);
    this.#ports.get(isolate)?.close();
    this.#ports.delete(isolate);
    this.#report({ type: "died", isolate, reason, callId, detail });
  }

  #report(message: FromExecutor): void {
    this.#send(encodeFrame(0, message));
  }

  #send(frames: Uint8Array<ArrayBuffer>): void {
    this.#outgoing.push(frames);
    if (this.#outgoing.length === 1) queueMicrotask(() => this.#flush());
  }

  /** Blocks when the server is slow to read, which is the back pressure wanted: the server never blocks on us. */
  #flush(): void {
    const bytes = joinFrames(this.#outgoing);
    this.#outgoing = [];
    for (let written = 0; written < bytes.byteLength;) {
      written += this.#output.writeSync(bytes.subarray(written));
    }
  }
}

/** Not memory that its sender shares: it could change what was checked. */
function isBytes(value: unknown): value is Uint8Array<ArrayBuffer> {
  return value instanceof Uint8Array && value.buffer instanceof ArrayBuffer;
}

/**
 * Gives up all permissions but reading the folders and, for actions, the network. Started by `deno run` the
 * process never had more, and isolates are its own threads. A compiled binary has the permissions it was compiled
 * with and cannot narrow reading to folders, except on a worker: there isolates are threads of one.
 */
function startHost(
  options: ExecutorOptions,
  ended: Ended,
): Host {
  const { kind, isolateModule, readFolders } = options;
  for (const name of ["write", "run", "env", "sys", "ffi", "import"] as const) {
    Deno.permissions.revokeSync({ name });
  }
  if (kind === "transaction") Deno.permissions.revokeSync({ name: "net" });
  const readsEverything = Deno.permissions.querySync({ name: "read" }).state === "granted";
  if (!readsEverything) return new ThreadHost(isolateModule, ended);
  const permissions = { read: [...readFolders], net: kind === "action" };
  return new WorkerHost(isolateModule, permissions, ended);
}
