/**
 * A child process that exchanges frames with the server: frames go in on its standard input, and come out where its
 * command sends them. One write is under way at a time, and what gathers meanwhile leaves together.
 */
import type { Environment } from "../environment.ts";
import { errorMessage } from "../errors.ts";
import { FrameDecoder, joinFrames } from "./frames.ts";

export interface ProcessCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** All environment variables of the process; nothing of the server's own is passed on. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface ProcessListener {
  frame(frame: Uint8Array<ArrayBuffer>): void;
  /** The process is gone; once, and the last call. `detail`: how it ended, and what it last said. */
  exited(detail: string): void;
}

/** What programs need to find their own files. */
const inherited = [
  "PATH",
  "HOME",
  "DENO_DIR",
  "XDG_CACHE_HOME",
  "LOCALAPPDATA",
  "SystemRoot",
];

/**
 * The environment variables of a child: the few it needs to run, and time zone UTC wherever the server runs. The
 * server's others may be secrets and stay here.
 */
export function inheritedVariables(): Record<string, string> {
  const entries = inherited.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(entries), TZ: "UTC", NO_COLOR: "1" };
}

/** How much of what a process prints on standard error is kept, in characters. */
const lastWordsMax = 2000;

export class ExecutorProcess {
  readonly pid: number;
  readonly #environment: Environment;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #ended: Promise<void>;
  #outgoing: Uint8Array<ArrayBuffer>[] = [];
  #writing = false;
  #lastWords = "";

  /** @throws Deno.errors.NotFound when the program does not exist. */
  constructor(command: ProcessCommand, environment: Environment, listener: ProcessListener) {
    this.#environment = environment;
    this.#child = new Deno.Command(command.program, {
      args: [...command.args],
      clearEnv: true,
      env: { ...command.variables },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#input = this.#child.stdin.getWriter();
    this.#ended = this.#run(listener);
  }

  send(frame: Uint8Array<ArrayBuffer>): void {
    this.#outgoing.push(frame);
    if (!this.#writing) this.#write();
  }

  kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended by itself a moment ago.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  /** Asks the process to end by closing its input; kills it when it has not within `graceMs`. */
  async close(graceMs = 1000): Promise<void> {
    const cancelTimer = this.#environment.setTimer(graceMs, () => this.kill());
    this.#input.close().catch(ignoreBrokenPipe);
    await this.#ended;
    cancelTimer();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    // Everything that this turn of the event loop sends goes into one write.
    await Promise.resolve();
    while (this.#outgoing.length > 0) {
      const bytes = joinFrames(this.#outgoing);
      this.#outgoing = [];
      await this.#input.write(bytes).catch(ignoreBrokenPipe);
    }
    this.#writing = false;
  }

  async #run(listener: ProcessListener): Promise<void> {
    const lastWords = this.#keepLastWords();
    const reason = await this.#readFrames(listener).catch((error) => {
      this.kill();
      return errorMessage(error);
    });
    const { code, signal } = await this.#child.status;
    await lastWords;
    await this.#input.abort().catch(ignoreBrokenPipe);
    const end = signal === null ? `exit code ${code}` : signal;
    listener.exited([reason, end, this.#lastWords.trim()].filter((part) => part !== "").join("; "));
  }

  async #readFrames(listener: ProcessListener): Promise<string> {
    const decoder = new FrameDecoder();
    for await (const chunk of this.#child.stdout) {
      for (const frame of decoder.push(chunk)) listener.frame(frame);
    }
    return "";
  }

  async #keepLastWords(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#lastWords = (this.#lastWords + text).slice(-lastWordsMax);
    }
  }
}

/** Writing to a process that has just ended fails; its listener hears of the end in any case. */
function ignoreBrokenPipe(): void {}
