/**
 * An isolate: a thread that runs functions of the deployments it is told of, one call at a time.
 *
 * 1. The realm is made what functions may see of it, then the isolate says `ready`.
 * 2. Messages are taken as they arrive; calls wait in a queue, from which a revoked call is dropped. While a query or
 *    mutation is under way, messages wait unread: what it did to built-in objects must not spoil those for others.
 * 3. A call whose changes to the realm cannot be undone is the last one: the thread ends, another one
 *    takes its place.
 */
import { setImmediate } from "node:timers";
import { workerData } from "node:worker_threads";
import { appComponent, type ComponentId } from "../src/database/component.ts";
import { decodeFrame, splitFrames } from "../src/isolate/frames.ts";
import { Heartbeat } from "../src/isolate/heartbeat.ts";
import type { IsolateData } from "../src/isolate/isolate_data.ts";
import type { DeploymentManifest, FunctionCall, ToIsolate } from "../src/isolate/protocol.ts";
import type { HistoryReader } from "../src/persistence/persistence.ts";
import { openSnapshotReader } from "../src/persistence/snapshot_reader.ts";
import type { TableNames } from "../src/values/validator.ts";
import { ActionCalls } from "./action_calls.ts";
import { analyzeModules } from "./analysis.ts";
import { DeploymentCode } from "./deployment_code.ts";
import { Fifo } from "./fifo.ts";
import type { Deliver } from "./finished_call.ts";
import { installGlobals } from "./globals/prelude.ts";
import { watchHeap } from "./heap_watch.ts";
import type { IsolateServices } from "./isolate_services.ts";
import { ModuleLoader } from "./module_loader.ts";
import { Outbox } from "./outbox.ts";
import { Realm } from "./realm.ts";
import { StackTraces } from "./stack_traces.ts";
import { TransactionCalls } from "./transaction_calls.ts";

type CallMessage = ToIsolate & { type: "call" };

/**
 * One piece of work, which says itself when it is over: a promise for that would be settled by what user code can
 * change.
 */
type Work = (done: () => void) => void;

const decoder = new TextDecoder();

/** A function whose last call took less is expected to be as quick again, in milliseconds. */
const quickMs = 1;
/** No call fills the heap in less, in milliseconds. */
const fillMsMin = 5;

class Isolate {
  readonly #data: IsolateData;
  readonly #services: IsolateServices;
  readonly #stackTraces = new StackTraces();
  readonly #deployments = new Map<string, DeploymentCode>();
  readonly #transactions: TransactionCalls | null;
  readonly #actions: ActionCalls;
  /** Messages that arrived while user code was running. */
  readonly #unread = new Fifo<Uint8Array>();
  readonly #work = new Fifo<Work>();
  #isWorking = false;
  /** Calls that have not begun, the next one first. */
  readonly #queued = new Map<number, FunctionCall>();
  /** Names of functions whose last call was quick. */
  readonly #quick = new Set<string>();
  readonly #outbox: Outbox;
  #reader: HistoryReader | null = null;
  #wasHeapFull: () => boolean = () => false;
  /** An earlier call has spoiled this isolate for later ones. */
  #isSpoiled = false;

  constructor(data: IsolateData) {
    this.#data = data;
    this.#outbox = new Outbox(data.port, data.isolate);
    const { isolate, limits, kind } = data;
    const { error } = console; // kept: user code sees another
    this.#services = {
      realm: new Realm(),
      heartbeat: new Heartbeat(data.heartbeat),
      isolate,
      limits,
      reportFault: (fault) =>
        error(
          `A function failed through a fault of Hull: ${this.#stackTraces.describeFault(fault)}`,
        ),
    };
    this.#transactions = kind === "transaction"
      ? new TransactionCalls(this.#services, this.#openReader())
      : null;
    this.#actions = new ActionCalls(
      this.#services,
      (message, body) => this.#outbox.send(message, body),
      (component) => this.#tableNames(component),
    );
  }

  start(): void {
    this.#wasHeapFull = watchHeap(this.#services.heartbeat);
    this.#data.port.onmessage = ({ data }) => {
      this.#unread.add(data);
      // An action gets the answers to its questions this way.
      if (this.#services.realm.isOccupied && this.#transactions !== null) return;
      this.#read();
      this.#proceed();
    };
    installGlobals(this.#services.realm);
    this.#stackTraces.install();
    this.#services.realm.protect();
    this.#outbox.send({ type: "ready" });
    this.#services.realm.warmUp();
  }

  #read(): void {
    for (let piece = this.#unread.take(); piece !== null; piece = this.#unread.take()) {
      for (const frame of splitFrames(piece)) this.#receive(frame);
    }
  }

  #receive(frame: Uint8Array): void {
    const { header, body } = decodeFrame(frame);
    const message = header as ToIsolate; // the server's word is taken
    switch (message.type) {
      case "load":
        return this.#enqueue(() => this.#load(message.deployment));
      case "warmUp":
        return this.#warmUp(message.deployment);
      case "unload":
        return this.#enqueue(() => this.#unload(message.deployment));
      case "call":
        this.#queued.set(message.callId, message.call);
        return this.#work.add((done) => this.#call(message, body, done));
      case "revoke":
        for (const callId of message.callIds) this.#queued.delete(callId);
        return;
      case "aborted":
        return this.#transactions?.aborted(message.sequence);
      case "operationResult":
        return this.#actions.receive(message, body);
      case "requestPiece":
      case "requestFailed":
      case "wantResponsePiece":
      case "clientGone":
        return this.#actions.receiveFromClient(message, body);
      case "analyze":
        this.#enqueue(() => this.#analyze(message));
    }
  }

  #enqueue(work: () => void): void {
    this.#work.add((done) => {
      work();
      done();
    });
  }

  /** Begins what waits. Work that cannot be done at all ends the isolate: whoever waits for it learns so. */
  #proceed(): void {
    while (!this.#isWorking) {
      const work = this.#work.take();
      if (work === null) return;
      this.#isWorking = true;
      try {
        work(() => this.#isWorking = false);
      } catch (error) {
        end(error);
      }
    }
  }

  #load(deployment: DeploymentManifest): void {
    const { realm } = this.#services;
    this.#outbox.flush();
    this.#deployments.set(deployment.id, new DeploymentCode(deployment, realm, this.#stackTraces));
  }

  #unload(deployment: string): void {
    this.#deployments.get(deployment)?.close();
    this.#deployments.delete(deployment);
  }

  /** Loads what other deployments have loaded, one module at a time: calls come in between. */
  #warmUp(deployment: string): void {
    this.#enqueue(() => {
      const code = this.#deployments.get(deployment);
      const others = [...this.#deployments.values()].filter((other) => other !== code);
      for (const load of code?.loadsOf(others) ?? []) this.#enqueue(load);
      this.#enqueue(() => this.#outbox.send({ type: "warm", deployment }));
    });
  }

  async #call(message: CallMessage, body: Uint8Array, done: () => void): Promise<void> {
    try {
      await this.#answer(message, body);
      done();
      this.#proceed();
    } catch (error) {
      end(error);
    }
  }

  async #answer({ callId, call }: CallMessage, body: Uint8Array): Promise<void> {
    if (this.#queued.delete(callId)) {
      if (this.#transactions?.mustWait(call)) {
        this.#outbox.flush();
        await this.#transactions.decided();
      }
      const deployment = this.#deployments.get(call.deployment)!;
      deployment.trim();
      const deliver: Deliver = ({ body: answer, ...result }) => {
        if (result.usage.durationMs < quickMs) this.#quick.add(functionKey(call));
        else this.#quick.delete(functionKey(call));
        // One that filled the heap may end well. The next one must not be taken for it.
        this.#isSpoiled ||= this.#services.realm.isBroken ||
          result.usage.durationMs > fillMsMin && this.#wasHeapFull();
        const last = this.#isSpoiled ? { isLast: true } : {};
        this.#outbox.hold({ type: "result", callId, ...result, ...last }, answer);
      };
      await this.#run(callId, call, deployment, body, deliver);
      this.#read();
    }
    if (this.#outbox.isDue || !this.#isQuickNext()) this.#outbox.flush();
    this.#endIfSpoiled();
  }

  /** Whether results can wait for that of the next call, because it is expected at once. */
  #isQuickNext(): boolean {
    const [next] = this.#queued.values();
    return next !== undefined && !this.#isSpoiled &&
      this.#quick.has(functionKey(next));
  }

  async #run(
    callId: number,
    call: FunctionCall,
    deployment: DeploymentCode,
    body: Uint8Array,
    deliver: Deliver,
  ): Promise<void> {
    if (call.kind === "action" || call.kind === "httpAction") {
      return await this.#actions.run(callId, call, deployment, body, deliver);
    }
    await this.#transactions!.run(callId, call, deployment, decoder.decode(body), deliver);
  }

  #analyze({ callId, deployment, only }: ToIsolate & { type: "analyze" }): void {
    const loader = new ModuleLoader(deployment, this.#services.realm, this.#stackTraces);
    const result = analyzeModules(this.#services, loader, callId, only);
    loader.close();
    this.#outbox.send({ type: "analyzed", callId, result });
    this.#endIfSpoiled();
  }

  #endIfSpoiled(): void {
    const { isBroken } = this.#services.realm;
    if (isBroken) end(new Error("A function changed the realm for good"));
    else if (this.#isSpoiled) end(new Error("A function filled the heap"));
  }

  #openReader(): HistoryReader {
    return this.#reader ??= openSnapshotReader(this.#data.databasePath);
  }

  /** For validators of actions, which have no snapshot of their own. */
  #tableNames(component: ComponentId): TableNames {
    const snapshot = this.#openReader().open();
    const { catalog } = snapshot;
    snapshot.close();
    return catalog.tableNames(component);
  }
}

function functionKey({ component = appComponent, module, export: name }: FunctionCall): string {
  return `${component}/${module}:${name}`;
}

/** Ends the thread; the host is told why. */
function end(reason: unknown): void {
  setImmediate(() => {
    throw reason;
  });
}

new Isolate(workerData as IsolateData).start();
