/** Calls the admin API of a running server, as any client would. */
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { errorMessage } from "../src/errors.ts";

/** The server refused a request, or could not be reached; the message is for whoever ran the command. */
export class ApiError extends Error {
  override name = "ApiError";
  constructor(
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
    /** The server's short code; empty when it gave none. */
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

type QueryAnswer =
  | { readonly status: "success"; readonly value: unknown }
  | { readonly status: "error"; readonly errorMessage: string };

export interface Download {
  readonly body: AsyncIterable<Uint8Array>;
  /** In bytes, if the server says so. */
  readonly length?: number;
  /** What the server would call it. */
  readonly fileName: string | undefined;
}

const compress = promisify(brotliCompress);
/** As the official CLI compresses: half a second for 10 MB, and a fifth of the bytes. */
const compression = {
  params: {
    [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
    [constants.BROTLI_PARAM_QUALITY]: 4,
  },
};

export class ApiClient {
  readonly #origin: URL;
  readonly #adminKey: string;

  /** @throws ApiError when `url` is none. */
  constructor(url: string, adminKey: string) {
    if (!URL.canParse(url) || !/^https?:/.test(url)) {
      throw new ApiError(
        0,
        "",
        `${url} is no URL of a server. Give one such as http://127.0.0.1:3210.`,
      );
    }
    this.#origin = new URL(url);
    this.#adminKey = adminKey;
  }

  get origin(): string {
    return this.#origin.origin;
  }

  get(path: string): Promise<unknown> {
    return this.#request(path, { method: "GET" });
  }

  /** Sends JSON. */
  post(path: string, body: Record<string, unknown>): Promise<unknown> {
    const text = JSON.stringify({ adminKey: this.#adminKey, ...body });
    return this.#request(path, { method: "POST", body: text });
  }

  /**
   * The result of a query of the app, or of a component, in JSON that keeps every value (http-api 21).
   * @throws ApiError when it fails.
   */
  async query(
    path: string,
    args: Record<string, unknown>,
    componentPath?: string,
  ): Promise<unknown> {
    const answer = await this.post("/api/function", {
      path,
      args,
      ...componentPath !== undefined && { componentPath },
      format: "convex_encoded_json",
    }) as QueryAnswer;
    if (answer.status === "success") return answer.value;
    throw new ApiError(200, "", answer.errorMessage);
  }

  /** Sends JSON that may be large: the modules of a push. */
  async postCompressed(path: string, body: Record<string, unknown>): Promise<unknown> {
    const text = JSON.stringify({ adminKey: this.#adminKey, ...body });
    const compressed = await compress(text, compression);
    return await this.#request(path, {
      method: "POST",
      body: new Uint8Array(compressed),
      headers: { "content-encoding": "br" },
    });
  }

  /** The body of an answer as it comes. @throws ApiError, also from the body when it breaks off. */
  async download(path: string): Promise<Download> {
    const response = await this.#fetch(path, { method: "GET" });
    if (!response.ok) throw refusal(response.status, await response.text());
    const length = response.headers.get("content-length");
    return {
      body: this.#complete(response.body ?? ReadableStream.from([])),
      ...length !== null && { length: Number(length) },
      fileName: /filename=(.+)$/.exec(response.headers.get("content-disposition") ?? "")?.[1],
    };
  }

  /** Sends bytes that are no JSON. */
  upload(path: string, body: Uint8Array<ArrayBuffer>): Promise<unknown> {
    const headers = { "content-type": "application/octet-stream" };
    return this.#request(path, { method: "POST", body, headers });
  }

  async #request(path: string, init: RequestInit): Promise<unknown> {
    const response = await this.#fetch(path, init);
    const text = await response.text().catch((cause) => {
      throw this.#brokenOff(cause);
    });
    if (!response.ok) throw refusal(response.status, text);
    if (text === "") return null;
    try {
      return JSON.parse(text);
    } catch (cause) {
      const message = `What answers at ${this.origin} is no Hull server. Correct --url.`;
      throw new ApiError(response.status, "", message, { cause });
    }
  }

  async *#complete(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (cause) {
      throw this.#brokenOff(cause);
    }
  }

  #brokenOff(cause: unknown): ApiError {
    const message = `The answer of ${this.origin} broke off. The server's log may say why.`;
    return new ApiError(0, "", message, { cause });
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Convex ${this.#adminKey}`);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    headers.set("convex-client", "npm-cli-1.48.0");
    try {
      return await fetch(new URL(path, this.#origin), { ...init, headers });
    } catch (cause) {
      const [certificate] = /[^:(]*certificate.*/i.exec(errorMessage(cause)) ?? [];
      const problem = certificate === undefined
        ? `No server answers at ${this.origin}. Start it with \`hull dev\` or \`hull serve\`, or name another one with --url.`
        : `This machine does not trust ${this.origin}: ${certificate.trim()}.`;
      throw new ApiError(0, "", problem, { cause });
    }
  }
}

function refusal(status: number, text: string): ApiError {
  const { code = "", message = `The server answered with status ${status}.` } = parseError(text);
  if (status !== 401 && status !== 403) return new ApiError(status, code, message);
  return new ApiError(
    status,
    code,
    `${message}\nCheck --admin-key: \`hull admin-key --data DIR\` prints the key of a server on this machine.`,
  );
}

function parseError(text: string): { code?: string; message?: string } {
  try {
    return Object(JSON.parse(text));
  } catch {
    // A proxy in between may answer with a page of its own, which tells nobody at a terminal anything.
    return text === "" || text.startsWith("<") ? {} : { message: text };
  }
}
