/** The JSON texts in a stream of bytes: one a line, or the elements of one array. Holds one of them at a time. */
import { importError } from "./import_error.ts";

export interface LocatedText {
  readonly text: string;
  /** The line it begins in, from 1. */
  readonly line: number;
}

/** Of one document: it has at most 1 MiB, and this leaves room for white space and escapes. */
export const textLengthMax = 16 * 1024 * 1024;

/** Texts of one line each; empty lines are passed over. */
export async function* jsonLines(
  chunks: AsyncIterable<Uint8Array>,
  file: string,
): AsyncGenerator<LocatedText> {
  let rest = "";
  let line = 0;
  for await (const text of decoded(chunks, file)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const text of lines) {
      line++;
      if (text.trim() !== "") yield { text, line };
    }
    checkLength(rest, `${file}:${line + 1}`);
  }
  if (rest.trim() !== "") yield { text: rest, line: line + 1 };
}

/** The elements of an array. What is inside of them is not looked at but for where they end. */
export async function* jsonArray(
  chunks: AsyncIterable<Uint8Array>,
  file: string,
): AsyncGenerator<LocatedText> {
  const splitter = new ArraySplitter(file);
  for await (const text of decoded(chunks, file)) yield* splitter.push(text);
  splitter.end();
}

class ArraySplitter {
  readonly #file: string;
  #state: "before" | "inside" | "after" = "before";
  #line = 1;
  /** Of brackets and braces inside the element. */
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  /** The element so far, and where it began. */
  #element = "";
  #elementLine = 1;
  #elements = 0;

  constructor(file: string) {
    this.#file = file;
  }

  *push(text: string): Generator<LocatedText> {
    /** Where in `text` what belongs to the element begins. */
    let from = 0;
    for (let i = 0; i < text.length; i++) {
      const character = text[i]!;
      if (character === "\n") this.#line++;
      if (this.#state === "inside" && this.#isPartOfElement(character)) continue;
      if (isSpace(character)) continue;
      if (this.#state === "before" && character === "[") {
        this.#state = "inside";
        this.#elementLine = this.#line;
      } else if (this.#state === "inside") {
        yield* this.#take(text.slice(from, i), character);
        if (character === "]") this.#state = "after";
      } else {
        throw this.#invalid(
          this.#state === "before" ? "expected [" : "there is more after the array",
        );
      }
      from = i + 1;
    }
    if (this.#state !== "inside") return;
    this.#element += text.slice(from);
    checkLength(this.#element, `${this.#file}:${this.#elementLine}`);
  }

  /** False for the comma or bracket that ends the element. */
  #isPartOfElement(character: string): boolean {
    if (this.#inString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (character === "\\") this.#isEscaped = true;
      else if (character === '"') this.#inString = false;
      return true;
    }
    if (this.#depth === 0 && (character === "," || character === "]")) return false;
    if (character === '"') this.#inString = true;
    else if (character === "{" || character === "[") this.#depth++;
    else if (character === "}" || character === "]") this.#depth--;
    return true;
  }

  *#take(end: string, terminator: string): Generator<LocatedText> {
    const text = this.#element + end;
    const line = this.#elementLine + (/^\s*/.exec(text)![0].match(/\n/g)?.length ?? 0);
    this.#element = "";
    this.#elementLine = this.#line;
    if (text.trim() !== "") {
      this.#elements++;
      yield { text, line };
    } else if (terminator === "," || this.#elements > 0) {
      throw this.#invalid(`expected an object before ${terminator}`);
    }
  }

  end(): void {
    if (this.#state !== "after") throw this.#invalid("the array has no end");
  }

  #invalid(problem: string) {
    return importError("JsonArrayInvalid", problem, `${this.#file}:${this.#line}`);
  }
}

function isSpace(character: string): boolean {
  return character === " " || character === "\n" || character === "\r" || character === "\t";
}

/** The text of bytes. @throws RequestError when it is not UTF-8. */
export async function* decoded(
  chunks: AsyncIterable<Uint8Array>,
  file: string,
): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch {
      throw importError("NotUtf8", `${file} is not encoded as UTF-8.`);
    }
  };
  for await (const chunk of chunks) yield decode(chunk);
  yield decode();
}

function checkLength(text: string, source: string): void {
  if (text.length <= textLengthMax) return;
  throw importError(
    "JsonTooLarge",
    `no document can have more than ${textLengthMax} bytes`,
    source,
  );
}
