/** How commands end that do not do what they were asked for. */

/** Exit statuses of the program; `hull --help` lists them. */
export const exitStatus = {
  done: 0,
  /** What was asked could not be done, a function threw, or a check found something: the message says what. */
  failed: 1,
  /** The command line is wrong: nothing was tried. */
  usage: 2,
  /** Ended by a second Ctrl-C, before everything was in order. */
  interrupted: 130,
} as const;

/** The command line asks for something that makes no sense; ends with status 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** How the runtime words what the operating system refuses. */
const systemRefusal = /^(.+?) \(os error \d+\)(?:: \w+ '(.+?)'(?: -> '.+')?)$/s;

/** Errors that say what to do are shown as they are; for others the stack tells where Hull is at fault. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isFault = /^(?:Type|Reference|Syntax|Assertion)Error$/.test(error.name) ||
    error.message.startsWith("Invariant broken");
  if (isFault) return `A mistake in Hull itself:\n${error.stack}`;
  const [, reason, path] = systemRefusal.exec(error.message) ?? [];
  if (path === undefined) return error.message;
  return `${path} cannot be used: ${reason}. Check the path, and what its owner lets you do with it.`;
}
