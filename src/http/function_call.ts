/** What a request to a function endpoint says: which function, its arguments, the format of the answer. */
import type { RequestError } from "../errors.ts";
import { parseFunctionPath } from "../functions/function_path.ts";
import { type ApiRequest, badJsonBody } from "./api_request.ts";
import { defaultFormat, parseValueFormat, type ValueFormat } from "./value_format.ts";

export interface FunctionCallBody {
  /** As the client wrote it. */
  readonly path: string;
  /** JSON text of the arguments array. */
  readonly args: string;
  readonly format: ValueFormat;
}

/** The fields of a request body. */
export type Fields = Readonly<Record<string, unknown>>;

/** @throws RequestError when `body` is no JSON object. */
export function parseFields(body: unknown): Fields {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw badJsonBody("Failed to parse the request body: expected a JSON object");
  }
  return body as Fields;
}

/**
 * Checks everything that can be checked before the function runs, the format of its answer included
 * (http-api 22, 23, 29).
 * @throws RequestError when a field is missing, ill-typed or malformed.
 */
export function parseFunctionCall(body: unknown, request: ApiRequest): FunctionCallBody {
  const fields = parseFields(body);
  const { path } = fields;
  if (typeof path !== "string") throw missing("path", "a string");
  parseFunctionPath(path);
  const format = parseRequestedFormat(fields.format) ?? defaultFormat(request.client);
  return { path, args: parseArguments(fields), format };
}

/** The field `args`: an object is the single argument, an array the list of them (http-api 24). */
export function parseArguments({ args }: Fields): string {
  if (args === undefined) throw missing("args", "an object");
  const list = Array.isArray(args) ? args : [args];
  return hasNegativeZero(list, 0) ? JSON.stringify(list, encodeNegativeZero) : JSON.stringify(list);
}

/** Undefined when the client asks for none. */
export function parseRequestedFormat(format: unknown): ValueFormat | undefined {
  return format === undefined || format === null ? undefined : parseValueFormat(format);
}

const negativeZero = { $float: "AAAAAAAAAIA=" };

function encodeNegativeZero(_name: string, value: unknown): unknown {
  return Object.is(value, -0) ? negativeZero : value;
}

/** Far above what a value may have (semantics 4.1), and far below what the stack has room for. */
const nestingMax = 1000;

/**
 * Whether -0 is in there: a value of its own, which `JSON.stringify` alone would make 0.
 * @throws RequestError when `value` is nested too deeply to be handled at all.
 */
function hasNegativeZero(value: unknown, depth: number): boolean {
  if (typeof value === "number") return Object.is(value, -0);
  if (typeof value !== "object" || value === null) return false;
  if (depth > nestingMax) {
    throw badJsonBody("Failed to parse the request body: field `args` is nested too deeply");
  }
  const fields = value as Fields;
  for (const name in fields) if (hasNegativeZero(fields[name], depth + 1)) return true;
  return false;
}

function missing(name: string, expected: string): RequestError {
  return badJsonBody(`Failed to parse the request body: field \`${name}\` must be ${expected}`);
}
