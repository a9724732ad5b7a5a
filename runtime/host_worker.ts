/**
 * A ThreadHost on a Web Worker, which is the way to narrow permissions to some folders where the process
 * itself cannot be started with less (executor.ts). Runs on the worker when loaded there; `WorkerHost` is the
 * executor's end. Threads inherit the worker's permissions.
 */
import type { IsolateData } from "../src/isolate/isolate_data.ts";
import { moduleUrl } from "../src/program_files.ts";
import { type Ended, type Host, ThreadHost } from "./host.ts";

type ToWorker =
  | { readonly type: "start"; readonly module: string }
  | { readonly type: "spawn"; readonly data: IsolateData }
  | { readonly type: "terminate"; readonly isolate: number }
  | { readonly type: "processorTimes"; readonly isolates: readonly number[] };

type FromWorker =
  | { readonly type: "ended"; readonly values: Parameters<Ended> }
  | { readonly type: "processorTimes"; readonly times: number[] };

export class WorkerHost implements Host {
  readonly #worker: Worker;
  /** Who asked for processor times; the worker answers in order. */
  readonly #questions: ((times: number[]) => void)[] = [];

  constructor(
    module: string,
    permissions: Deno.PermissionOptions,
    ended: Ended,
  ) {
    this.#worker = new Worker(moduleUrl("hostWorker"), { type: "module", deno: { permissions } });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.type === "ended") ended(...data.values);
      else this.#questions.shift()?.(data.times);
    };
    this.#post({ type: "start", module });
  }

  spawn(data: IsolateData): void {
    this.#post({ type: "spawn", data }, [data.port]);
  }

  terminate(isolate: number): void {
    this.#post({ type: "terminate", isolate });
  }

  processorTimes(isolates: readonly number[]): Promise<number[]> {
    this.#post({ type: "processorTimes", isolates });
    return new Promise((resolve) => this.#questions.push(resolve));
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}

/** The worker's end; typed by hand because the program is checked as a page, not as a worker. */
interface WorkerScope {
  onmessage: (event: MessageEvent<ToWorker>) => void;
  postMessage(message: FromWorker): void;
}

function serve(scope: WorkerScope): void {
  let host: ThreadHost;
  scope.onmessage = async ({ data }) => {
    if (data.type === "start") {
      host = new ThreadHost(
        data.module,
        (...values) => scope.postMessage({ type: "ended", values }),
      );
    } else if (data.type === "spawn") {
      host.spawn(data.data);
    } else if (data.type === "terminate") {
      host.terminate(data.isolate);
    } else {
      const times = await host.processorTimes(data.isolates);
      scope.postMessage({ type: "processorTimes", times });
    }
  };
}

if ("WorkerGlobalScope" in globalThis && self.constructor.name === "DedicatedWorkerGlobalScope") {
  serve(self as unknown as WorkerScope);
}
