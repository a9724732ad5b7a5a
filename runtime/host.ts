/**
 * The threads that user code runs on. They are `node:worker_threads` Workers because only those survive an
 * exhausted heap, and they have the permissions of the thread that owns this host: see executor.ts.
 */
import { type MessagePort as NodeMessagePort, Worker } from "node:worker_threads";
import type { IsolateData } from "../src/isolate/isolate_data.ts";

/**
 * Address space for compiled code. V8 would reserve 512 MiB, which counts against the memory limit of the process
 * although it is never used; it takes no less than this.
 */
const codeRangeMiB = 64;
/** Old objects get the configured heap; new ones this much on top, which bounds how fast a loop can fill memory. */
const youngGenerationMiB = 16;
/** What an executor asks of its threads; also over a MessagePort, see host_worker.ts. */
export interface Host {
  spawn(data: IsolateData): void;
  terminate(isolate: number): void;
  /** Processor time that each has used so far, in milliseconds; it comes in steps of 10. Gone ones have used none. */
  processorTimes(isolates: readonly number[]): Promise<number[]>;
}

/** Called when a thread stops without having been told to. */
export type Ended = (isolate: number, reason: "heap" | "exit", detail: string) => void;

export class ThreadHost implements Host {
  readonly #module: string;
  readonly #ended: Ended;
  readonly #threads = new Map<number, Worker>();

  /** `module`: what isolates run. */
  constructor(module: string, ended: Ended) {
    this.#module = module;
    this.#ended = ended;
  }

  spawn(data: IsolateData): void {
    const { isolate } = data;
    const thread = new Worker(new URL(this.#module), {
      workerData: data,
      transferList: [data.port as unknown as NodeMessagePort],
      resourceLimits: {
        maxOldGenerationSizeMb: data.limits.isolateHeapMiB,
        maxYoungGenerationSizeMb: youngGenerationMiB,
        codeRangeSizeMb: codeRangeMiB,
      },
    });
    let detail = "";
    let reason: "heap" | "exit" = "exit";
    this.#threads.set(isolate, thread);
    thread.on("error", (error: Error & { code?: string }) => {
      detail = error.message;
      if (error.code === "ERR_WORKER_OUT_OF_MEMORY") reason = "heap";
    });
    thread.on("exit", () => {
      if (this.#threads.get(isolate) !== thread) return;
      this.#threads.delete(isolate);
      this.#ended(isolate, reason, detail);
    });
  }

  terminate(isolate: number): void {
    const thread = this.#threads.get(isolate);
    this.#threads.delete(isolate);
    thread?.terminate();
  }

  processorTimes(isolates: readonly number[]): Promise<number[]> {
    return Promise.all(isolates.map(async (isolate) => {
      const thread = this.#threads.get(isolate);
      if (thread === undefined) return 0;
      // Deno has it, the type declarations do not yet.
      const { user, system } = await (thread as Worker & {
        cpuUsage(): Promise<{ user: number; system: number }>;
      }).cpuUsage().catch(() => ({ user: 0, system: 0 })); // it has just ended
      return (user + system) / 1000;
    }));
  }
}
