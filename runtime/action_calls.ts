/** Runs actions one at a time, passes their operations on and streams what they print. */
import { setImmediate } from "node:timers";
import type { CallOutcome, FromIsolate, FunctionCall, ToIsolate } from "../src/isolate/protocol.ts";
import type { TableNames } from "../src/values/validator.ts";
import { ActionRun } from "./action_run.ts";
import { parseArguments } from "./call_arguments.ts";
import { describeFailure, SystemFailure } from "./failure.ts";
import type { FinishedCall } from "./finished_call.ts";
import type { IsolateServices } from "./isolate_services.ts";
import { Log } from "./log.ts";
import type { ModuleLoader } from "./module_loader.ts";

export type Send = (message: FromIsolate, body?: string | Uint8Array) => void;

const monotonicNow = performance.now.bind(performance); // kept: user code sees another
const decoder = new TextDecoder();

export class ActionCalls {
  readonly #services: IsolateServices;
  readonly #send: Send;
  readonly #tables: () => TableNames;
  #running: { readonly callId: number; readonly run: ActionRun } | null = null;

  constructor(services: IsolateServices, send: Send, tables: () => TableNames) {
    this.#services = services;
    this.#send = send;
    this.#tables = tables;
  }

  /** `body`: JSON text of the arguments array, or the body of a request. Never rejects. */
  async run(
    callId: number,
    call: FunctionCall,
    loader: ModuleLoader,
    body: Uint8Array,
  ): Promise<FinishedCall> {
    const { heartbeat, limits, realm } = this.#services;
    const startedAt = monotonicNow();
    const log = this.#streamedLog(callId);
    const send = (request: Parameters<typeof sendOperation>[2]) =>
      sendOperation(this.#send, callId, request);
    const run = new ActionRun({ call, loader, log, send, tables: this.#tables });
    this.#running = { callId, run };
    heartbeat.begin(callId, limits.actionTimeoutS * 1000, limits.databaseTimeoutS * 1000);
    realm.enter(run.execution);
    let outcome: CallOutcome;
    let answer: string | Uint8Array = "";
    try {
      if (call.kind === "httpAction") {
        const { status, headers, body: response } = await run.runHttp(
          body,
          limits.httpActionBodyBytesMax,
        );
        outcome = { kind: "success", response: { status, headers } };
        answer = response;
      } else {
        const path = { module: call.module, export: call.export };
        answer = await run.run(parseArguments(decoder.decode(body), path));
        outcome = { kind: "success" };
      }
    } catch (error) {
      if (error instanceof SystemFailure) this.#services.reportFault(error.cause);
      outcome = { kind: "failure", failure: describeFailure(error) };
    } finally {
      this.#running = null;
      realm.leave();
      heartbeat.end();
    }
    const durationMs = monotonicNow() - startedAt;
    const usage = { ...noDocuments, durationMs };
    return { outcome, body: answer, logLines: log.take(), usage };
  }

  /** An answer of the server for the action that runs, or that ran. */
  receive(message: ToIsolate & { type: "operationResult" }, body: Uint8Array): void {
    const { callId, operationId, fields = {}, failure } = message;
    if (this.#running?.callId !== callId) return;
    this.#running.run.operations.receive(operationId, { fields, body }, failure);
  }

  /** Sends lines once a turn of the event loop. */
  #streamedLog(callId: number): Log {
    const log: Log = new Log(() => {
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(() => {
        isScheduled = false;
        const logLines = log.take();
        if (logLines.length > 0) this.#send({ type: "log", callId, logLines });
      });
    });
    let isScheduled = false;
    return log;
  }
}

const noDocuments = { documentsRead: 0, bytesRead: 0, documentsWritten: 0, bytesWritten: 0 };

function sendOperation(
  send: Send,
  callId: number,
  { body, ...request }: import("./host_operations.ts").OperationRequest,
): void {
  send({ type: "operation", callId, ...request }, body);
}
