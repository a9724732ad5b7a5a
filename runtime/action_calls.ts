/** Runs actions one at a time, passes their operations on and streams what they print. */
import { setImmediate } from "node:timers";
import type {
  CallOutcome,
  FromIsolate,
  FunctionCall,
  ToHttpAction,
  ToIsolate,
} from "../src/isolate/protocol.ts";
import { appComponent, type ComponentId } from "../src/database/component.ts";
import type { TableNames } from "../src/values/validator.ts";
import { ActionRun } from "./action_run.ts";
import { parseArguments } from "./call_values.ts";
import type { DeploymentCode } from "./deployment_code.ts";
import { describeFailure, SystemFailure } from "./failure.ts";
import type { Deliver } from "./finished_call.ts";
import type { OperationRequest } from "./host_operations.ts";
import { heapBytes } from "./heap_watch.ts";
import { HttpExchange } from "./http_exchange.ts";
import type { IsolateServices } from "./isolate_services.ts";
import { Log } from "./log.ts";
import { turn } from "./settle.ts";

export type Send = (message: FromIsolate, body?: string | Uint8Array) => void;

const monotonicNow = performance.now.bind(performance); // kept: user code sees another
const decoder = new TextDecoder();

interface Running {
  readonly callId: number;
  readonly run: ActionRun;
  /** HTTP actions. */
  readonly exchange: HttpExchange | null;
}

export class ActionCalls {
  readonly #services: IsolateServices;
  readonly #send: Send;
  readonly #tablesOf: (component: ComponentId) => TableNames;
  #running: Running | null = null;

  /** @param tablesOf Which tables a component has now. */
  constructor(
    services: IsolateServices,
    send: Send,
    tablesOf: (component: ComponentId) => TableNames,
  ) {
    this.#services = services;
    this.#send = send;
    this.#tablesOf = tablesOf;
  }

  /** `body`: JSON text of the arguments array, or the body of a request. */
  async run(
    callId: number,
    call: FunctionCall,
    deployment: DeploymentCode,
    body: Uint8Array,
    deliver: Deliver,
  ): Promise<void> {
    const { heartbeat, limits, realm } = this.#services;
    const startedAt = monotonicNow();
    const log = this.#streamedLog(callId);
    const send = ({ body, ...request }: OperationRequest) =>
      this.#send({ type: "operation", callId, ...request }, body);
    const tables = () => this.#tablesOf(call.component ?? appComponent);
    const run = new ActionRun({ call, deployment, log, send, tables });
    const exchange = call.request === undefined ? null : new HttpExchange({
      callId,
      request: call.request,
      body,
      bodyBytesMax: limits.httpActionBodyBytesMax,
      log,
      send: this.#send,
    });
    this.#running = { callId, run, exchange };
    heartbeat.begin(callId, limits.actionTimeoutS * 1000, limits.databaseTimeoutS * 1000);
    realm.enter(run.execution);
    const finished = await this.#execute(run, exchange, body);
    this.#running = null;
    const durationMs = monotonicNow() - startedAt;
    const usage = { ...noDocuments, durationMs, heapBytes: heapBytes() };
    deliver({ ...finished, logLines: log.take(), usage });
    // Not before: a large result takes memory on its way out as well.
    heartbeat.end();
    // Whoever still waited for what has been given up now finds out, while nobody else is here.
    await turn();
  }

  async #execute(
    run: ActionRun,
    exchange: HttpExchange | null,
    body: Uint8Array,
  ): Promise<{ outcome: CallOutcome; body: string | Uint8Array }> {
    const { module, export: name } = run.call;
    try {
      if (exchange !== null) {
        const { body: answer, ...response } = await run.runHttp(exchange);
        return { outcome: { kind: "success", response }, body: answer };
      }
      const { args } = parseArguments(decoder.decode(body), { module, export: name });
      return { body: await run.run(args), outcome: { kind: "success" } };
    } catch (error) {
      if (SystemFailure.is(error)) this.#services.reportFault(error.cause);
      return { outcome: { kind: "failure", failure: describeFailure(error) }, body: "" };
    } finally {
      this.#services.realm.leave();
    }
  }

  /** An answer of the server for the action that runs, or that ran. */
  receive(message: ToIsolate & { type: "operationResult" }, body: Uint8Array): void {
    const { callId, operationId, fields = {}, failure } = message;
    if (this.#running?.callId !== callId) return;
    this.#running.run.operations.receive(operationId, { fields, body }, failure);
  }

  /** News of the client whose HTTP action runs, or ran. */
  receiveFromClient(message: ToHttpAction, piece: Uint8Array): void {
    if (this.#running?.callId === message.callId) this.#running.exchange?.receive(message, piece);
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
