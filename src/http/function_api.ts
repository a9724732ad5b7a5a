/**
 * The endpoints that call functions (http-api 2). A function's failure is an answer like any other, with
 * status 200; what fails outside the function is thrown and becomes the error envelope.
 */
import { decodeWireTimestamp, encodeWireTimestamp } from "../database/wire_timestamp.ts";
import { RequestError } from "../errors.ts";
import { clientFailureText } from "../functions/failure_text.ts";
import { agree, FollowedQuery } from "../functions/followed_queries.ts";
import { parseFunctionPath } from "../functions/function_path.ts";
import type {
  CallContext,
  FollowableFunctions,
  FunctionResult,
  Functions,
  QueryRequest,
  QueryResult,
} from "../functions/functions.ts";
import { type ApiRequest, badDeployKey, badJsonBody } from "./api_request.ts";
import {
  type FunctionCallBody,
  parseArguments,
  parseFields,
  parseFunctionCall,
  parseRequestedFormat,
} from "./function_call.ts";
import { json, jsonText } from "./responses.ts";
import type { ApiHandlers } from "./routes.ts";
import { formatValue, type ValueFormat } from "./value_format.ts";

export interface FunctionApiOptions {
  /** Hide log lines and the details of errors from everybody but admins (http-api 36). */
  readonly redact: boolean;
}

export function functionApi(functions: FollowableFunctions, { redact }: FunctionApiOptions) {
  const finishedAnswers = new FinishedAnswers();

  async function answerQuery(request: ApiRequest, call: FunctionCallBody): Promise<Response> {
    const query = queryRequest(call, await contextOf(request));
    const cached = functions.cachedQuery(query);
    if (cached !== undefined && isSameForEverybody(cached.result)) {
      return jsonText(finishedAnswers.get(cached.result, call.format));
    }
    const { result } = cached ?? await runQuery(functions, query);
    return answer(result, call.format, query.context);
  }

  function answer(result: FunctionResult, format: ValueFormat, context: CallContext): Response {
    return jsonText(envelope(result, format, context, redact && context.caller.kind !== "admin"));
  }

  return {
    async query(request) {
      return answerQuery(request, parseFunctionCall(await request.json(), request));
    },

    queryFromUrl(request) {
      return answerQuery(request, parseFunctionCall(callFromUrl(request), request));
    },

    async queryTimestamp() {
      const timestamp = functions.appliedTimestamp;
      await functions.durable(timestamp);
      return json({ ts: encodeWireTimestamp(timestamp) });
    },

    async queryAtTimestamp(request) {
      const body = parseFields(await request.json());
      const call = parseFunctionCall(body, request);
      const timestamp = decodeWireTimestamp(String(body.ts));
      if (timestamp === undefined || timestamp > functions.appliedTimestamp) throw notYet();
      const query = queryRequest(call, await contextOf(request));
      const result = await functions.queryAt(query, timestamp);
      if (result === undefined) throw outOfRetention();
      await functions.durable(timestamp);
      return answer(result, call.format, query.context);
    },

    async queryBatch(request) {
      const { queries } = parseFields(await request.json());
      if (!Array.isArray(queries)) {
        throw badJsonBody("Failed to parse the request body: field `queries` must be an array");
      }
      const calls = queries.map((query) => parseFunctionCall(query, request));
      const context = await contextOf(request);
      const results = await resultsAtOneTimestamp(functions, calls, context);
      const redacted = redact && context.caller.kind !== "admin";
      const envelopes = results.map((result, i) =>
        envelope(result, calls[i]!.format, context, redacted)
      );
      return jsonText(`{"results":[${envelopes.join(",")}]}`);
    },

    async mutation(request) {
      const { path, args, format } = parseFunctionCall(await request.json(), request);
      const context = await contextOf(request);
      return answer(await functions.mutation(path, args, context), format, context);
    },

    async action(request) {
      const { path, args, format } = parseFunctionCall(await request.json(), request);
      const context = await contextOf(request);
      return answer(await functions.action(path, args, context), format, context);
    },

    async anyFunction(request) {
      const context = await contextOf(request);
      if (context.caller.kind !== "admin") throw badDeployKey(request.services.instanceName);
      const body = parseFields(await request.json());
      const { path, args, format } = parseFunctionCall(body, request);
      const componentPath = parseComponentPath(body.componentPath);
      const result = await functions.any(path, args, { ...context, componentPath });
      return answer(result, format, context);
    },

    async runFunction(request) {
      const segments = request.path.slice("/api/run/".length).split("/");
      const body = parseFields(await request.json());
      const path = pathFromSegments(segments);
      parseFunctionPath(path);
      const args = parseArguments(body);
      const format = parseRequestedFormat(body.format) ?? "json";
      const context = await contextOf(request);
      return answer(await functions.any(path, args, context), format, context);
    },
  } satisfies Partial<ApiHandlers>;
}

type Success = FunctionResult & { readonly ok: true };

/** Whether the answer shows neither log lines, which may be redacted, nor a request id. */
function isSameForEverybody(result: FunctionResult): result is Success {
  return result.ok && result.logLines.length === 0;
}

/** Texts of answers that are sent again and again: those of cached results, for as long as they are cached. */
class FinishedAnswers {
  readonly #answers = new WeakMap<Success, Map<ValueFormat, string>>();

  get(result: Success, format: ValueFormat): string {
    let answers = this.#answers.get(result);
    if (answers === undefined) this.#answers.set(result, answers = new Map());
    let answer = answers.get(format);
    if (answer === undefined) answers.set(format, answer = successEnvelope(result, format, ""));
    return answer;
  }
}

/** Runs a query and waits until what it saw cannot be lost any more. */
async function runQuery(functions: Functions, query: QueryRequest): Promise<QueryResult> {
  const result = await functions.query(query);
  await functions.durable(result.timestamp);
  return result;
}

async function resultsAtOneTimestamp(
  functions: FollowableFunctions,
  calls: readonly FunctionCallBody[],
  context: CallContext,
): Promise<FunctionResult[]> {
  const queries = calls.map(({ path, args }) => new FollowedQuery(path, args, "", null));
  try {
    const timestamp = await agree(functions, queries, {
      notBefore: functions.appliedTimestamp,
      context: () => context,
      onInvalidated: () => {},
    });
    await functions.durable(timestamp);
    return queries.map(({ result }) => result!.result);
  } finally {
    for (const query of queries) query.stop();
  }
}

/** http-api 33, as JSON text. */
/** A result as its caller gets it. */
export function envelope(
  result: FunctionResult,
  format: ValueFormat,
  { requestId }: CallContext,
  redacted: boolean,
): string {
  const hasLines = !redacted && result.logLines.length > 0;
  const logLines = hasLines ? `,"logLines":${JSON.stringify(result.logLines)}` : "";
  if (result.ok) return successEnvelope(result, format, logLines);
  const { failure } = result;
  const message = JSON.stringify(clientFailureText(failure, requestId, redacted));
  const data = failure.data === undefined
    ? ""
    : `,"errorData":${formatValue(failure.data, format)}`;
  return `{"status":"error","errorMessage":${message}${data}${logLines}}`;
}

function successEnvelope({ value }: Success, format: ValueFormat, logLines: string): string {
  return `{"status":"success","value":${formatValue(value, format)}${logLines}}`;
}

async function contextOf(request: ApiRequest): Promise<CallContext> {
  const caller = await request.caller();
  return {
    caller,
    origin: "HttpApi",
    client: request.sender,
    // Made on demand: an answer from the cache never shows it.
    get requestId() {
      return request.requestId;
    },
  };
}

function queryRequest({ path, args }: FunctionCallBody, context: CallContext): QueryRequest {
  return { path, args, journal: null, context };
}

/** `?path=…&args=<JSON>&format=…` as a body. */
function callFromUrl(request: ApiRequest): Record<string, unknown> {
  const parameters = new URLSearchParams(request.search);
  const format = parameters.get("format");
  const fields = { path: parameters.get("path"), ...(format === null ? {} : { format }) };
  try {
    return { ...fields, args: JSON.parse(parameters.get("args") ?? "{}") };
  } catch (cause) {
    throw new RequestError(
      "badRequest",
      "BadQueryArgs",
      "The query parameter `args` must be JSON",
      { cause },
    );
  }
}

/** `a/b/f` names `a/b:f`. */
function pathFromSegments(segments: readonly string[]): string {
  if (segments.length < 2) {
    throw new RequestError(
      "badRequest",
      "MissingIdentifier",
      "The path must name a module and a function: /api/run/MODULE/FUNCTION",
    );
  }
  return `${segments.slice(0, -1).join("/")}:${segments.at(-1)}`;
}

/** http-api 25; empty for the app itself. */
function parseComponentPath(path: unknown): string {
  if (path === undefined || path === null) return "";
  if (typeof path === "string" && /^([A-Za-z_]\w*(\/[A-Za-z_]\w*)*)?$/.test(path)) return path;
  throw new RequestError(
    "badRequest",
    "InvalidComponentPath",
    `${JSON.stringify(path)} is not a valid path to a component.`,
  );
}

function notYet(): RequestError {
  return new RequestError(
    "internal",
    "InternalServerError",
    "The timestamp is malformed or lies in the future.",
  );
}

function outOfRetention(): RequestError {
  return new RequestError(
    "overloaded",
    "InternalServerError",
    "The timestamp is too old: its state is not kept any more. Ask for a new timestamp.",
  );
}
