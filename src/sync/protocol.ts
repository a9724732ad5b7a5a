/**
 * Messages of the sync protocol (sync-protocol 3–5): types, parse and encode, no behaviour.
 *
 * Values, arguments and error data stay JSON text on their way through: what a function returned is
 * spliced into the message as it is.
 */
import { parseUserAttributes } from "../auth/identity.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { decodeWireTimestamp, encodeWireTimestamp } from "../database/wire_timestamp.ts";
import { errorMessage, RequestError } from "../errors.ts";
import { parseFunctionPath } from "../functions/function_path.ts";
import type { UserIdentity } from "../isolate/protocol.ts";

// Client to server

export interface Connect {
  readonly type: "Connect";
  readonly sessionId: string;
  /** Milliseconds by the client's clock; older clients do not tell. */
  readonly clientTs: number | null;
  readonly maxObservedTimestamp: Timestamp | null;
}

export interface AddQuery {
  readonly type: "Add";
  readonly queryId: number;
  readonly udfPath: string;
  /** JSON text of the arguments array. */
  readonly args: string;
  readonly journal: string | null;
  /** Empty: the app itself. */
  readonly componentPath: string;
}

export interface RemoveQuery {
  readonly type: "Remove";
  readonly queryId: number;
}

export interface ModifyQuerySet {
  readonly type: "ModifyQuerySet";
  readonly baseVersion: number;
  readonly newVersion: number;
  readonly modifications: readonly (AddQuery | RemoveQuery)[];
}

export interface FunctionMessage {
  readonly type: "Mutation" | "Action";
  readonly requestId: number;
  readonly udfPath: string;
  /** JSON text of the arguments array. */
  readonly args: string;
  /** Empty: the app itself. */
  readonly componentPath: string;
}

/** What a client presents. */
export type Credential =
  | { readonly tokenType: "None" }
  | { readonly tokenType: "User"; readonly value: string }
  | {
    readonly tokenType: "Admin";
    readonly value: string;
    readonly impersonating: UserIdentity | null;
  };

export interface Authenticate {
  readonly type: "Authenticate";
  readonly baseVersion: number;
  readonly credential: Credential;
}

/** Telemetry; its content is of no interest. */
export interface Event {
  readonly type: "Event";
}

export type ClientMessage = Connect | ModifyQuerySet | FunctionMessage | Authenticate | Event;

/** @throws RequestError with the text of the `FatalError` that answers it (sync-protocol 107). */
export function parseClientMessage(text: string): ClientMessage {
  try {
    return parseMessage(new Fields(JSON.parse(text), text));
  } catch (error) {
    throw new RequestError(
      "badRequest",
      "InvalidMessage",
      `Received Invalid JSON on websocket: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

function parseMessage(fields: Fields): ClientMessage {
  const type = fields.string("type");
  switch (type) {
    case "Connect":
      return parseConnect(fields);
    case "ModifyQuerySet":
      return {
        type,
        baseVersion: fields.u32("baseVersion"),
        newVersion: fields.u32("newVersion"),
        modifications: fields.objects("modifications").map(parseModification),
      };
    case "Mutation":
    case "Action":
      return { type, requestId: fields.u32("requestId"), ...parseTarget(fields) };
    case "Authenticate":
      return {
        type,
        baseVersion: fields.u32("baseVersion"),
        credential: parseCredential(fields),
      };
    case "Event":
      fields.string("eventType");
      fields.present("event");
      return { type };
    default:
      throw new SyntaxError(`unknown type ${JSON.stringify(type.slice(0, 100))}`);
  }
}

function parseConnect(fields: Fields): Connect {
  fields.optionalString("lastCloseReason");
  if (fields.has("connectionCount")) fields.u32("connectionCount");
  return {
    type: "Connect",
    sessionId: fields.uuid("sessionId"),
    clientTs: fields.has("clientTs") ? fields.integer("clientTs") : null,
    maxObservedTimestamp: fields.has("maxObservedTimestamp")
      ? fields.timestamp("maxObservedTimestamp")
      : null,
  };
}

function parseModification(fields: Fields): AddQuery | RemoveQuery {
  const type = fields.string("type");
  switch (type) {
    case "Add":
      return {
        type,
        queryId: fields.has("queryId") ? fields.u32("queryId") : 0,
        journal: fields.optionalString("journal"),
        ...parseTarget(fields),
      };
    case "Remove":
      return { type, queryId: fields.u32("queryId") };
    default:
      throw new SyntaxError(`unknown modification ${JSON.stringify(type.slice(0, 100))}`);
  }
}

function parseTarget(fields: Fields) {
  const udfPath = fields.string("udfPath");
  parseFunctionPath(udfPath);
  return {
    udfPath,
    args: fields.argumentsText("args"),
    componentPath: fields.optionalString("componentPath") ?? "",
  };
}

function parseCredential(fields: Fields): Credential {
  const tokenType = fields.string("tokenType");
  switch (tokenType) {
    case "None":
      return { tokenType };
    case "User":
      return { tokenType, value: fields.string("value") };
    case "Admin": {
      const user = fields.value("impersonating") ?? fields.value("acting_as") ?? null;
      return {
        tokenType,
        value: fields.string("value"),
        impersonating: user === null ? null : parseUserAttributes(user),
      };
    }
    default:
      throw new SyntaxError(`unknown tokenType ${JSON.stringify(tokenType.slice(0, 100))}`);
  }
}

const negativeZero = { $float: "AAAAAAAAAIA=" };

/** Reads one JSON object field by field. */
class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  /** The message that the object is part of. */
  readonly #text: string;

  constructor(value: unknown, text: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new SyntaxError("expected an object");
    }
    this.#values = value as Record<string, unknown>;
    this.#text = text;
  }

  value(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
  }

  /** Absent and null are the same for optional fields. */
  has(name: string): boolean {
    return (this.value(name) ?? null) !== null;
  }

  present(name: string): void {
    if (!Object.hasOwn(this.#values, name)) throw new SyntaxError(`missing field \`${name}\``);
  }

  string(name: string): string {
    const value = this.#require(name);
    if (typeof value !== "string") throw wrongType(name, "a string");
    return value;
  }

  optionalString(name: string): string | null {
    return this.has(name) ? this.string(name) : null;
  }

  integer(name: string): number {
    const value = this.#require(name);
    if (!Number.isSafeInteger(value)) throw wrongType(name, "an integer");
    return value as number;
  }

  u32(name: string): number {
    const value = this.integer(name);
    if (value < 0 || value > 0xffff_ffff) throw wrongType(name, "an unsigned 32-bit integer");
    return value;
  }

  uuid(name: string): string {
    const value = this.string(name);
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) {
      throw wrongType(name, "a UUID");
    }
    return value.toLowerCase();
  }

  timestamp(name: string): Timestamp {
    const value = decodeWireTimestamp(this.string(name));
    if (value === undefined) throw wrongType(name, "a timestamp");
    return value;
  }

  objects(name: string): Fields[] {
    return this.#array(name).map((element) => new Fields(element, this.#text));
  }

  /** `JSON.stringify` writes -0, which is a value of its own, as 0; almost no message can contain one. */
  argumentsText(name: string): string {
    const value = this.#array(name);
    return this.#text.includes("-0")
      ? JSON.stringify(value, (_name, member) => Object.is(member, -0) ? negativeZero : member)
      : JSON.stringify(value);
  }

  #array(name: string): unknown[] {
    const value = this.#require(name);
    if (!Array.isArray(value)) throw wrongType(name, "an array");
    return value;
  }

  #require(name: string): unknown {
    this.present(name);
    return this.#values[name];
  }
}

function wrongType(name: string, expected: string): SyntaxError {
  return new SyntaxError(`field \`${name}\` must be ${expected}`);
}

// Server to client

export interface StateVersion {
  readonly querySet: number;
  readonly identity: number;
  readonly ts: Timestamp;
}

/** How a function ended, in the client's terms. */
export type Outcome =
  /** JSON text. */
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly error: string; readonly data: string | undefined };

export const ping = '{"type":"Ping"}';

/** Everything of a modification that is the same for all subscribers: what follows its query id. */
export function encodeQueryOutcome(
  outcome: Outcome,
  logLines: readonly string[],
  journal: string | null,
): string {
  const rest = `,"logLines":${JSON.stringify(logLines)},"journal":${JSON.stringify(journal)}}`;
  return outcome.ok
    ? `,"type":"QueryUpdated","value":${outcome.value}${rest}`
    : `,"type":"QueryFailed","errorMessage":${JSON.stringify(outcome.error)}${
      errorData(outcome.data)
    }${rest}`;
}

/** `encoded` is what `encodeQueryOutcome` returned. */
export function encodeQueryModification(queryId: number, encoded: string): string {
  return `{"queryId":${queryId}${encoded}`;
}

export function encodeQueryRemoved(queryId: number): string {
  return `{"type":"QueryRemoved","queryId":${queryId}}`;
}

export interface Transition {
  /** Encoded; the end of the transition before. */
  readonly start: string;
  /** Encoded. */
  readonly end: string;
  /** Encoded, in the order of their query ids. */
  readonly modifications: readonly string[];
  /** Milliseconds; null when the client did not tell its time, and then left out. */
  readonly clientClockSkewMs: number | null;
  readonly serverTimeMs: number;
}

export function encodeTransition(transition: Transition): string {
  const { start, end, modifications, clientClockSkewMs, serverTimeMs } = transition;
  const skew = clientClockSkewMs === null ? "" : `,"clientClockSkew":${clientClockSkewMs}`;
  return `{"type":"Transition","startVersion":${start},"endVersion":${end},"modifications":[${
    modifications.join(",")
  }]${skew},"serverTs":${nanoseconds(serverTimeMs)}}`;
}

/** Whole microseconds with three digits more: a double has no room for nanoseconds, the text has. */
function nanoseconds(timeMs: number): string {
  return `${Math.floor(timeMs * 1000)}000`;
}

export function encodeVersion({ querySet, identity, ts }: StateVersion): string {
  return `{"querySet":${querySet},"identity":${identity},"ts":"${encodeTimestamp(ts)}"}`;
}

let lastTimestamp: Timestamp | undefined;
let lastEncoded = "";

/** One commit is told to many clients: the newest timestamp is encoded once. */
function encodeTimestamp(timestamp: Timestamp): string {
  if (timestamp !== lastTimestamp) {
    lastEncoded = encodeWireTimestamp(timestamp);
    lastTimestamp = timestamp;
  }
  return lastEncoded;
}

/** `timestamp`: of the commit, for mutations that succeeded. */
export function encodeMutationResponse(
  requestId: number,
  outcome: Outcome,
  logLines: readonly string[],
  timestamp: Timestamp | null,
): string {
  const ts = timestamp === null ? "null" : `"${encodeTimestamp(timestamp)}"`;
  return `{"type":"MutationResponse",${response(requestId, outcome, logLines)},"ts":${ts}}`;
}

export function encodeActionResponse(
  requestId: number,
  outcome: Outcome,
  logLines: readonly string[],
): string {
  return `{"type":"ActionResponse",${response(requestId, outcome, logLines)}}`;
}

function response(requestId: number, outcome: Outcome, logLines: readonly string[]): string {
  const result = outcome.ok ? outcome.value : JSON.stringify(outcome.error);
  const data = outcome.ok ? "" : errorData(outcome.data);
  return `"requestId":${requestId},"success":${outcome.ok},"result":${result},"logLines":${
    JSON.stringify(logLines)
  }${data}`;
}

/** Its mere presence makes the client throw a `ConvexError` (sync-protocol 24). */
function errorData(data: string | undefined): string {
  return data === undefined ? "" : `,"errorData":${data}`;
}

export function encodeAuthError(
  error: string,
  baseVersion: number,
  authUpdateAttempted: boolean,
): string {
  return JSON.stringify({ type: "AuthError", error, baseVersion, authUpdateAttempted });
}

export function encodeFatalError(error: string): string {
  return JSON.stringify({ type: "FatalError", error });
}

export interface TransitionChunk {
  readonly chunk: string;
  readonly partNumber: number;
  readonly totalParts: number;
  /** The same for all parts of one transition. */
  readonly transitionId: string;
}

export function encodeTransitionChunk(chunk: TransitionChunk): string {
  return JSON.stringify({ type: "TransitionChunk", ...chunk });
}
