/**
 * Keeps to one action what it would do to all actions of its process by mistake: a failure that nobody catches, the
 * end of the process, floods of output. It is no wall: whatever gets past it costs this process and no other.
 */
import process from "node:process";
import { currentAction, unfinishedActions } from "./action.ts";

/** What a process may print past `console`, in characters; it helps only to find out why a process ended. */
const printedMax = 1_048_576;

export function contain(): void {
  process.on("unhandledRejection", fail);
  process.on("uncaughtException", fail);
  process.exit = exit;
  process.kill = kill;
  for (const stream of [process.stdout, process.stderr]) limit(stream);
}

function fail(reason: unknown): void {
  const action = currentAction();
  if (action !== undefined) return action.fail(reason);
  // Whose it was is not known, so each of those that may have been it tells.
  for (const each of unfinishedActions()) {
    each.print("ERROR", `Uncaught outside of any action: ${asText(reason)}`);
  }
}

function exit(code?: number | string | null): never {
  const error = new Error(
    `process.exit(${code ?? ""}) was called. An action ends by returning or throwing.`,
  );
  currentAction()?.fail(error);
  throw error;
}

const systemKill = process.kill.bind(process);

function kill(pid: number, signal?: string | number): true {
  if (pid === process.ppid && signal !== 0) {
    throw new Error(
      `process.kill(${pid}): process ${pid} is the server, which actions may not end.`,
    );
  }
  return systemKill(pid, signal);
}

/** Past its limit a stream takes everything and prints nothing. */
function limit(stream: NodeJS.WriteStream): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  let printed = 0;
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    printed += chunk.length;
    if (printed <= printedMax) return write(chunk, ...rest);
    const done = rest.find((each) => typeof each === "function") as (() => void) | undefined;
    if (done !== undefined) process.nextTick(done);
    return true;
  };
}

function asText(reason: unknown): string {
  return reason instanceof Error ? reason.stack ?? reason.message : String(reason);
}
