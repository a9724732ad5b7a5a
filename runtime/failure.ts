/** What a function threw, as the failure that its caller gets (semantics 12). */
import { InvariantError } from "../src/assert.ts";
import { DeveloperError, type FunctionFailure } from "../src/errors.ts";
import { PersistenceError } from "../src/persistence/persistence_error.ts";
import { encodeValue } from "../src/values/value.ts";

/** A failure that the host states: one sentence, no frames, no "Uncaught". */
export class HostFailure extends Error {
  override name = "HostFailure";
}

/** The fault is Hull's or the machine's; the whole call ends, whatever user code catches. */
export class SystemFailure extends Error {
  override name = "SystemFailure";
  readonly #isSystemFailure = true;
  constructor(options: ErrorOptions) {
    super("Your request couldn't be completed. Try again later.", options);
  }

  /** Asks nothing of `thrown`, which may be a proxy of user code. */
  static is(thrown: unknown): thrown is SystemFailure {
    return typeof thrown === "object" && thrown !== null && #isSystemFailure in thrown;
  }
}

const messageBytesMax = 64 * 1024;
const convexErrorSymbol = Symbol.for("ConvexError");
const encoder = new TextEncoder();

/** Never throws, whatever was thrown. */
export function describeFailure(thrown: unknown): FunctionFailure {
  try {
    return describe(thrown);
  } catch {
    return { message: "Uncaught an error that cannot be shown", frames: [] };
  }
}

/** A failure as one text: what callers inside of functions get as an error's message. */
export function renderFailure({ message, frames }: FunctionFailure): string {
  return `${[message, ...frames].join("\n")}\n`;
}

function describe(thrown: unknown): FunctionFailure {
  if (isHostStatement(thrown)) return { message: cut(thrown.message), frames: [] };
  if (!(thrown instanceof Error)) return { message: cut(`Uncaught ${asText(thrown)}`), frames: [] };
  const data = convexErrorData(thrown);
  return {
    message: cut(`Uncaught ${headline(thrown)}`),
    frames: framesOf(thrown),
    ...data !== undefined && { data },
  };
}

function isHostStatement(thrown: unknown): thrown is Error {
  return thrown instanceof HostFailure || SystemFailure.is(thrown) ||
    thrown instanceof DeveloperError;
}

function headline({ name, message }: Error): string {
  const texts = [name, message].map(String).filter((text) => text !== "");
  return texts.join(": ");
}

/** As V8 prints what was thrown and is no error. */
function asText(thrown: unknown): string {
  if (typeof thrown === "function") return String(thrown);
  if (typeof thrown !== "object" || thrown === null) return String(thrown);
  return `#<${thrown.constructor?.name ?? "Object"}>`;
}

/** The frames at the end of a stack; a message before them may quote those of another error. */
function framesOf(error: Error): string[] {
  const stack = String(error.stack ?? "");
  const head = headline(error);
  const lines = (stack.startsWith(head) ? stack.slice(head.length) : stack).split("\n");
  const last = lines.findLastIndex((line) => !line.startsWith("    at "));
  return lines.slice(last + 1);
}

/** JSON text of a ConvexError's data; undefined for another error. */
function convexErrorData(error: Error & { data?: unknown }): string | undefined {
  if (!(convexErrorSymbol in error)) return undefined;
  // The library's own wrapper has encoded it already.
  const isEncoded = Reflect.get(error, "ConvexErrorSymbol") === convexErrorSymbol;
  if (isEncoded && typeof error.data === "string") return error.data;
  return encodeValue(error.data ?? null).json;
}

function cut(message: string): string {
  if (message.length * 3 <= messageBytesMax) return message;
  const { read } = encoder.encodeInto(message, new Uint8Array(messageBytesMax));
  return message.slice(0, read);
}

/** The native counterpart of the library's class, for apps that do not bundle it. */
class ConvexError extends Error {
  override name = "ConvexError";
  readonly [convexErrorSymbol] = true;
  data: unknown;
  constructor(data: unknown) {
    super();
    this.data = data;
  }
}

export type ConvexErrorClass = new (data: never) => Error & { data: unknown };

/** An error that user code may catch. `data` makes it a ConvexError of the class that user code knows. */
export function makeUserError(
  message: string,
  data: unknown,
  convexError: ConvexErrorClass | null,
): Error {
  if (data === undefined) return new Error(message);
  const error = new (convexError ?? ConvexError)(message as never);
  error.message = message;
  error.data = data;
  return error;
}

/**
 * What user code sees of an error from the engine. Rules of the data model have their texts; faults of ours end
 * the call; anything else was thrown by user code that the engine met, such as a getter of a document.
 */
export function toUserError(error: unknown, convexError: ConvexErrorClass | null): unknown {
  if (error instanceof DeveloperError) return makeUserError(error.message, error.data, convexError);
  if (error instanceof PersistenceError || error instanceof InvariantError) {
    return new SystemFailure({ cause: error });
  }
  return error;
}
