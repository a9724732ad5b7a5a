/**
 * One isolate on a database of its own, without a server: TypeScript sources are bundled as the official CLI
 * does it, turned into factories and loaded; the test is the runner and the committer.
 */
import * as esbuild from "esbuild";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type MessagePort as NodeMessagePort, Worker } from "node:worker_threads";
import { defaultConfig } from "../../src/config.ts";
import type { ComponentId } from "../../src/database/component.ts";
import type { Timestamp } from "../../src/database/timestamp.ts";
import { buildModuleFactory } from "../../src/deploy/module_factory.ts";
import { errorMessage } from "../../src/errors.ts";
import { decodeFrame, encodeFrame, splitFrames } from "../../src/isolate/frames.ts";
import { Heartbeat } from "../../src/isolate/heartbeat.ts";
import type { IsolateData, IsolateKind } from "../../src/isolate/isolate_data.ts";
import type {
  AnalysisResult,
  CallOutcome,
  ComponentManifest,
  DeploymentManifest,
  ExecutionUsage,
  FromIsolate,
  FunctionCall,
  FunctionKind,
  HostOperation,
  LogLine,
  ModuleEntry,
  ToIsolate,
} from "../../src/isolate/protocol.ts";
import { databasePath } from "../../src/persistence/data_folder.ts";
import type { CatalogChange, PersistenceWriter } from "../../src/persistence/persistence.ts";
import { openWriter } from "../../src/persistence/writer.ts";

const projectFolder = fileURLToPath(new URL("../..", import.meta.url));
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface HarnessOptions {
  readonly kind?: IsolateKind;
  readonly catalog?: CatalogChange;
  readonly environmentVariables?: Record<string, string>;
  /** Components by path, parents first. */
  readonly components?: Readonly<Record<string, HarnessComponent>>;
  /** Answers operations of actions; the body is JSON text or bytes. */
  readonly operation?: (
    operation: HostOperation,
    fields: Readonly<Record<string, unknown>>,
    body: Uint8Array,
  ) => { body?: string | Uint8Array; fields?: Record<string, unknown> } | { error: string };
}

export interface HarnessComponent {
  readonly definition: string;
  readonly bundle: Bundle;
  readonly environment?: Record<string, string>;
  /** JSON texts. */
  readonly args?: Record<string, string>;
}

export interface Answer {
  readonly outcome: CallOutcome;
  /** Parsed JSON of the value; undefined after a failure. */
  // deno-lint-ignore no-explicit-any -- tests know what their functions return
  readonly value: any;
  readonly body: Uint8Array;
  /** `[LEVEL] text` */
  readonly lines: readonly string[];
  readonly logLines: readonly LogLine[];
  readonly usage: ExecutionUsage;
  /** Message and frames of a failure. */
  readonly error: string | undefined;
}

/** The modules of an app, by path in the deployment. */
export type Bundle = ReadonlyMap<string, { source: string; sourceMap: string }>;

/** Bundles TypeScript sources, given by path in the functions folder. `_deps` chunks come out as well. */
export async function bundleSources(sources: Readonly<Record<string, string>>): Promise<Bundle> {
  const folder = await Deno.makeTempDir();
  try {
    const entryPoints = await writeSources(join(folder, "convex"), sources);
    const { outputFiles } = await esbuild.build({
      entryPoints,
      bundle: true,
      format: "esm",
      platform: "browser",
      target: "esnext",
      absWorkingDir: folder,
      outdir: "out",
      outbase: "convex",
      nodePaths: [join(projectFolder, "node_modules")],
      conditions: ["convex", "module"],
      sourcemap: true,
      sourcesContent: false,
      splitting: true,
      chunkNames: "_deps/[hash]",
      minifySyntax: true,
      minifyIdentifiers: true,
      keepNames: true,
      write: false,
      logLevel: "silent",
    });
    const texts = new Map(
      outputFiles.map(({ path, text }) => [relative(join(folder, "out"), path), text]),
    );
    return new Map(
      [...texts].filter(([path]) => path.endsWith(".js")).map(([path, source]) => [path, {
        source,
        sourceMap: texts.get(`${path}.map`)!,
      }]),
    );
  } finally {
    await esbuild.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

async function writeSources(
  folder: string,
  sources: Readonly<Record<string, string>>,
): Promise<string[]> {
  const files: string[] = [];
  for (const [path, source] of Object.entries(sources)) {
    const file = join(folder, path);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, source);
    files.push(file);
  }
  return files;
}

interface Waiting {
  resolve(answer: { message: FromIsolate; answer: Uint8Array }): void;
  reject(error: Error): void;
}

export class IsolateHarness {
  readonly folder: string;
  readonly writer: PersistenceWriter;
  readonly #options: HarnessOptions;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #waiting = new Map<number, Waiting>();
  readonly #streamed = new Map<number, LogLine[]>();
  /** Of the response that is being sent. */
  readonly #pieces: Uint8Array[] = [];
  readonly #exited: Promise<void>;
  manifest!: DeploymentManifest;
  #ready: () => void = () => {};
  #lastCallId = 0;
  #clock = 1_700_000_000_000_000;
  /** Why the isolate ended by itself. */
  death: string | null = null;
  /** False: the test decides what becomes of mutations. */
  commits = true;

  static async start(bundle: Bundle, options: HarnessOptions = {}): Promise<IsolateHarness> {
    const folder = await Deno.makeTempDir();
    const harness = new IsolateHarness(folder, options);
    await new Promise<void>((resolve) => harness.#ready = resolve);
    await harness.deploy(bundle);
    return harness;
  }

  private constructor(folder: string, options: HarnessOptions) {
    this.folder = folder;
    this.#options = options;
    this.writer = openWriter(folder);
    if (options.catalog !== undefined) this.#createCatalog(options.catalog);
    if (options.components !== undefined) {
      const setComponents = Object.keys(options.components).map((path) => ({
        ...componentAt(path),
        state: "active" as const,
      }));
      this.writer.applyCatalogChange({ setComponents }, this.#nextTimestamp());
    }
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }) => splitFrames(data).forEach((frame) => this.#receive(frame));
    const data: IsolateData = {
      port: port2,
      heartbeat: Heartbeat.allocate(),
      isolate: 7,
      kind: options.kind ?? "transaction",
      databasePath: databasePath(folder),
      limits: defaultConfig,
    };
    this.#worker = new Worker(new URL("../../runtime/isolate.ts", import.meta.url), {
      workerData: data,
      transferList: [port2 as unknown as NodeMessagePort],
      resourceLimits: { maxOldGenerationSizeMb: defaultConfig.isolateHeapMiB },
    });
    this.#exited = new Promise((resolve) => this.#worker.on("exit", () => resolve()));
    this.#exited.then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error("The isolate has ended"));
    });
    this.#worker.on("error", (error: unknown) => this.death = errorMessage(error));
  }

  /** Its indexes are ready at once: there are no documents yet. */
  #createCatalog(change: CatalogChange): void {
    const { indexes } = this.writer.applyCatalogChange(change, this.#nextTimestamp());
    const setIndexState = indexes.map(({ id }) => ({ id, state: "ready" as const }));
    this.writer.applyCatalogChange({ setIndexState }, this.#nextTimestamp());
  }

  /** Loads modules as a deployment of their own, which later calls use. */
  async deploy(bundle: Bundle, environment: Record<string, string> = {}): Promise<void> {
    this.manifest = await this.#manifestOf(bundle, environment);
    this.#send({ type: "load", deployment: this.manifest });
  }

  async #manifestOf(
    bundle: Bundle,
    environment: Record<string, string>,
  ): Promise<DeploymentManifest> {
    const id = crypto.randomUUID();
    const components = [];
    for (const [path, component] of Object.entries(this.#options.components ?? {})) {
      components.push(await this.#componentManifest(path, component));
    }
    return {
      id,
      modules: await this.#writeModules(bundle),
      components,
      environmentVariables: {
        CONVEX_CLOUD_URL: "http://127.0.0.1:3210",
        ...this.#options.environmentVariables,
        ...environment,
      },
      importSeed: "ab".repeat(32),
      importTimeMs: 1_600_000_000_000,
      fileStorageSecret: "cd".repeat(32),
    };
  }

  async #componentManifest(
    path: string,
    { definition, bundle, environment = {}, args = {} }: HarnessComponent,
  ): Promise<ComponentManifest> {
    return {
      ...componentAt(path),
      ...{ path, definition, args },
      modules: await this.#writeModules(bundle),
      environmentVariables: environment,
      variableSources: {},
    };
  }

  async #writeModules(bundle: Bundle): Promise<ModuleEntry[]> {
    const modules: ModuleEntry[] = [];
    for (const [path, { source, sourceMap }] of bundle) {
      const file = join(this.folder, `${crypto.randomUUID()}-${path.replaceAll("/", "-")}.json`);
      await Deno.writeTextFile(file, await buildModuleFactory({ path, source, sourceMap }));
      modules.push({ path, environment: "isolate", file });
    }
    return modules;
  }

  query(path: string, args: unknown = {}, more: Partial<FunctionCall> = {}): Promise<Answer> {
    return this.call("query", path, args, more);
  }

  /** Runs a mutation and commits what it wrote. */
  mutation(path: string, args: unknown = {}, more: Partial<FunctionCall> = {}): Promise<Answer> {
    return this.call("mutation", path, args, more);
  }

  action(path: string, args: unknown = {}, more: Partial<FunctionCall> = {}): Promise<Answer> {
    return this.call("action", path, args, more);
  }

  /** `args` is what JSON.stringify makes of it; bytes are a request body. */
  async call(
    kind: FunctionKind,
    path: string,
    args: unknown,
    more: Partial<FunctionCall> = {},
  ): Promise<Answer> {
    const [module, name = "default"] = path.split(":");
    const body = args instanceof Uint8Array ? args : JSON.stringify([args]);
    const { message, answer } = await this.#request((callId) => ({
      type: "call",
      callId,
      call: {
        kind,
        deployment: this.manifest.id,
        module: `${module}.js`,
        export: name,
        requestId: "0123456789abcdef",
        identity: null,
        journal: null,
        nowMs: 1_700_000_000_000,
        seed: crypto.getRandomValues(new Uint8Array(32)).toHex(),
        args: null,
        returns: null,
        ...more,
      },
    }), body);
    const { outcome, usage, callId } = message as FromIsolate & { type: "result" };
    const streamed = this.#streamed.get(callId) ?? [];
    const logLines = [...streamed, ...(message as FromIsolate & { type: "result" }).logLines];
    if (this.commits) this.commit(outcome);
    const isJson = outcome.kind === "success" && kind !== "httpAction";
    return {
      outcome,
      value: isJson ? JSON.parse(decoder.decode(answer)) : undefined,
      body: kind === "httpAction" ? concatenate([...this.#pieces.splice(0), answer]) : answer,
      lines: logLines.map(({ level, messages }) => `[${level}] ${messages.join(" ")}`),
      logLines,
      usage,
      error: outcome.kind === "failure"
        ? [outcome.failure.message, ...outcome.failure.frames].join("\n")
        : undefined,
    };
  }

  /** Applies a mutation's writes as the committer would, without checking for conflicts. */
  commit(outcome: CallOutcome): void {
    if (outcome.kind !== "success" || outcome.commit === undefined) return;
    const { writes, origin } = outcome.commit;
    this.writer.apply([{ timestamp: this.#nextTimestamp(), writes, ...origin && { origin } }]);
  }

  async analyze(bundle: Bundle, environment: Record<string, string> = {}): Promise<AnalysisResult> {
    const deployment = await this.#manifestOf(bundle, environment);
    const { message } = await this.#request((callId) => ({ type: "analyze", callId, deployment }));
    return (message as FromIsolate & { type: "analyzed" }).result;
  }

  aborted(sequence: number): void {
    this.#send({ type: "aborted", sequence });
  }

  /** Resolves when the isolate has ended by itself. */
  async exited(): Promise<void> {
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
    this.#port.close();
    this.writer.close();
    await Deno.remove(this.folder, { recursive: true });
  }

  #nextTimestamp(): Timestamp {
    return ++this.#clock as Timestamp;
  }

  #request(
    makeMessage: (callId: number) => ToIsolate,
    body?: Uint8Array | string,
  ): Promise<{ message: FromIsolate; answer: Uint8Array }> {
    const callId = ++this.#lastCallId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(callId, { resolve, reject });
      this.#send(makeMessage(callId), body);
    });
  }

  #send(message: ToIsolate, body?: Uint8Array | string): void {
    const frame = encodeFrame(7, message, body);
    this.#port.postMessage(frame, [frame.buffer]);
  }

  #receive(frame: Uint8Array): void {
    const { header, body } = decodeFrame(frame);
    const message = header as FromIsolate;
    switch (message.type) {
      case "ready":
        return this.#ready();
      case "log": {
        const lines = this.#streamed.get(message.callId) ?? [];
        this.#streamed.set(message.callId, [...lines, ...message.logLines]);
        return;
      }
      case "operation":
        return this.#operate(message, body);
      case "response":
      case "responsePiece":
        if (message.type === "responsePiece") this.#pieces.push(body.slice());
        return this.#send({ type: "wantResponsePiece", callId: message.callId });
      case "warm":
        return;
      default:
        this.#waiting.get(message.callId)?.resolve({ message, answer: body });
        this.#waiting.delete(message.callId);
    }
  }

  #operate(message: FromIsolate & { type: "operation" }, body: Uint8Array): void {
    const { callId, operationId, operation, fields } = message;
    const answer = this.#options.operation?.(operation, fields, body) ?? { error: "no operations" };
    if ("error" in answer) {
      const failure = { message: answer.error, frames: [] };
      this.#send({ type: "operationResult", callId, operationId, failure });
    } else {
      const result = { type: "operationResult", callId, operationId, fields: answer.fields ?? {} };
      const bytes = typeof answer.body === "string" ? encoder.encode(answer.body) : answer.body;
      this.#send(result as ToIsolate, bytes ?? encoder.encode("null"));
    }
  }
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(pieces.flatMap((piece) => [...piece]));
}

/** Tests have the path for an id. */
function componentAt(path: string) {
  const [name = "", ...parents] = path.split("/").reverse();
  return { id: path as ComponentId, parent: parents.reverse().join("/") as ComponentId, name };
}
