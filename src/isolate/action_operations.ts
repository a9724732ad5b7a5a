/** Answering what a running action asks for, whatever it runs in. */
import type { FunctionFailure } from "../errors.ts";
import { log } from "../logger.ts";
import type { ActionHost } from "./isolates.ts";
import type { FromIsolate, ToIsolate } from "./protocol.ts";

/** The answer to one operation, to be sent to who asked. Never rejects. */
export async function answerOperation(
  host: ActionHost,
  message: FromIsolate & { type: "operation" },
  body: Uint8Array,
): Promise<[answer: ToIsolate, body?: Uint8Array]> {
  const { callId, operationId, operation, fields } = message;
  const type = "operationResult";
  const answer = await host.operation(operation, fields, body).catch(internalFailure);
  if ("failure" in answer) return [{ type, callId, operationId, failure: answer.failure }];
  return [{ type, callId, operationId, fields: answer.fields ?? {} }, answer.body];
}

/** Hosts report what the function did wrong as a failure; what they throw is the server's own (function-abi 1.3). */
function internalFailure(error: unknown): { failure: FunctionFailure } {
  log("error", "An operation of an action failed", { error });
  return {
    failure: { message: "Your request couldn't be completed. Try again later.", frames: [] },
  };
}
