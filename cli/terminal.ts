/** What a person at a terminal sees more than a file does: colours, and progress of what takes long. */

/** A stream of this process that may be a terminal. */
type Output = Pick<typeof Deno.stderr, "isTerminal" | "writeSync">;

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Style = keyof typeof codes;

export type Styler = (style: Style, text: string) => string;

/** Colours nothing. */
export const plain: Styler = (_style, text) => text;

/** Colours a text if `output` shows colours: terminals do. NO_COLOR and FORCE_COLOR have the last word. */
export function styler(output: Output): Styler {
  const isColoured = showsColours(output);
  return isColoured ? (style, text) => `\x1b[${codes[style]}m${text}\x1b[0m` : plain;
}

export function showsColours(output: Output): boolean {
  const force = Deno.env.get("FORCE_COLOR");
  if (Deno.env.get("NO_COLOR")) return false;
  if (force !== undefined) return force !== "0" && force !== "false";
  return output.isTerminal() && Deno.env.get("TERM") !== "dumb";
}

/** Takes away what a progress bar has drawn, so that a line can stand there; the bar is drawn again below. */
export function clearLine(output: Output): void {
  if (output.isTerminal()) output.writeSync(new TextEncoder().encode("\r\x1b[K"));
}

/** Nobody waits for a bar that is over before it was seen. In milliseconds. */
const silenceMs = 1000;
const redrawMs = 100;
const barWidth = 24;

/**
 * A line that tells how far something is, once it has taken a second; on a terminal alone. `using` ends it and
 * leaves nothing on the screen.
 */
export class Progress implements Disposable {
  readonly #label: string;
  readonly #output: Output;
  readonly #startMs = performance.now();
  #timer: ReturnType<typeof setInterval> | undefined;
  #done = 0;
  #total: number | undefined;
  #isDrawn = false;
  readonly #format: (amount: number) => string;

  constructor(
    label: string,
    format: (amount: number) => string = String,
    output: Output = Deno.stderr,
  ) {
    this.#label = label;
    this.#format = format;
    this.#output = output;
    if (output.isTerminal()) this.#timer = setInterval(() => this.#draw(), redrawMs);
  }

  /** `total` is unknown when left out. */
  update(done: number, total?: number): void {
    this.#done = done;
    this.#total = total;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#isDrawn) this.#write("\r\x1b[K");
  }

  #draw(): void {
    const elapsedMs = performance.now() - this.#startMs;
    if (elapsedMs < silenceMs) return;
    this.#isDrawn = true;
    const text = progressText(this.#done, this.#total, this.#format);
    this.#write(`\r${this.#label} ${text} ${Math.floor(elapsedMs / 1000)} s\x1b[K`);
  }

  #write(text: string): void {
    this.#output.writeSync(new TextEncoder().encode(text));
  }
}

/** Does `work`, and says so while it takes long. */
export async function withProgress<T>(label: string, work: () => Promise<T>): Promise<T> {
  using _progress = new Progress(label);
  return await work();
}

/** `[######      ] 50 % of 12 MB`, or what is done alone when nobody knows how much there is. */
export function progressText(
  done: number,
  total: number | undefined,
  format: (amount: number) => string,
): string {
  if (total === undefined || total === 0) return done === 0 ? "…" : format(done);
  const part = Math.min(done / total, 1);
  const bar = "█".repeat(Math.floor(part * barWidth)).padEnd(barWidth, "░");
  return `${bar} ${Math.floor(part * 100)} % of ${format(total)}`;
}

export function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
