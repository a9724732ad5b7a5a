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
  /** Absolute path of its working directory; the server's own without one. */
  readonly folder?: string;
  /**
   * Whether it leads a process group of its own: signals to its group reach nobody else, and killing it kills what
   * it has started, too.
   */
  readonly leadsGroup?: boolean;
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

/** An environment variable of the server, where it says something about the machine. */
export function hostVariable(name: string): string | undefined {
  return Deno.env.get(name);
}

/** The server's environment variables with such names. */
export function hostVariablesMatching(pattern: RegExp): Record<string, string> {
  const entries = Object.entries(Deno.env.toObject()).filter(([name]) => pattern.test(name));
  return Object.fromEntries(entries);
}

/** How much of what a process prints on standard error is kept, in characters. */
const lastWordsMax = 2000;
/** How much of it is read in a second, in characters; whoever prints more waits in its own process. */
const printedMaxPerSecond = 1_048_576;
/** How long the last words of a process that has ended are waited for: its own children may hold the pipe open. */
const lastWordsMs = 500;

export class ExecutorProcess {
  readonly pid: number;
  readonly #environment: Environment;
  readonly #child: Deno.ChildProcess;
  readonly #leadsGroup: boolean;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #ended: Promise<void>;
  #outgoing: Uint8Array<ArrayBuffer>[] = [];
  #writing = false;
  #lastWords = "";

  /** @throws Deno.errors.NotFound when the program does not exist. */
  constructor(command: ProcessCommand, environment: Environment, listener: ProcessListener) {
    this.#environment = environment;
    this.#leadsGroup = command.leadsGroup ?? false;
    this.#child = new Deno.Command(command.program, {
      args: [...command.args],
      clearEnv: true,
      env: { ...command.variables },
      ...(command.folder === undefined ? {} : { cwd: command.folder }),
      detached: command.leadsGroup ?? false,
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
      if (this.#leadsGroup && Deno.build.os !== "windows") Deno.kill(-this.pid, "SIGKILL");
      else this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended by itself a moment ago.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
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
    await this.#endedOrLate(lastWords);
    if (this.#leadsGroup) this.kill();
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
    let printed = 0, second = this.#environment.monotonicMs();
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#lastWords = (this.#lastWords + text).slice(-lastWordsMax);
      const now = this.#environment.monotonicMs();
      if (now - second > 1000) [printed, second] = [0, now];
      printed += text.length;
      if (printed > printedMaxPerSecond) await this.#pause(1000);
    }
  }

  async #endedOrLate(lastWords: Promise<void>): Promise<void> {
    let cancelTimer = () => {};
    const late = new Promise<void>((resolve) => {
      cancelTimer = this.#environment.setTimer(lastWordsMs, resolve);
    });
    await Promise.race([lastWords, late]);
    cancelTimer();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#environment.setTimer(ms, resolve));
  }
}

/** Writing to a process that has just ended fails; its listener hears of the end in any case. */
function ignoreBrokenPipe(): void {}
