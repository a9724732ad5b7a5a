/**
 * The app's HTTP actions (http-api 5): every request that is not for the API. Bodies that are not small are
 * streamed in both directions, as fast as the slower side allows.
 */
import type { Authenticator } from "../auth/authenticate.ts";
import { anonymous, type Principal } from "../auth/identity.ts";
import type { Config } from "../config.ts";
import { RequestError } from "../errors.ts";
import { failureText } from "../functions/failure_text.ts";
import type { BodySource, Functions, HttpResult } from "../functions/functions.ts";
import type { RequestIds } from "../functions/request_id.ts";
import type { Environment } from "../environment.ts";
import type { HttpActionResponse } from "../isolate/protocol.ts";
import { abandonedWhenStalled } from "./response_body.ts";
import { type BodyReader, BodyTooLargeError } from "./request_body.ts";
import type { AppHandler } from "./request_handler.ts";
import { errorResponse, methodNotAllowed, plainText } from "./responses.ts";

export interface HttpActionsOptions {
  readonly authenticator: Authenticator;
  readonly bodies: BodyReader;
  readonly config: Pick<Config, "httpActionBodyBytesMax" | "responseStallTimeoutS">;
  readonly environment: Environment;
  readonly requestIds: RequestIds;
  /** Hide what went wrong from callers (http-api 71). */
  readonly redact: boolean;
  /** Answers requests that the app has no route for; undefined when it cannot either. */
  readonly fallback?: Fallback;
}

/** `target` is the path with its query string. */
export type Fallback = (request: Request, target: string) => Promise<Response | undefined>;

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const methodsWithoutBody = new Set(["GET", "HEAD", "OPTIONS"]);
const nullBodyStatuses = new Set([204, 205, 304]);
const greeting = "This is a Hull server. See /version for its version.";

export class HttpActions implements AppHandler {
  readonly #functions: Functions;
  readonly #options: HttpActionsOptions;

  constructor(functions: Functions, options: HttpActionsOptions) {
    this.#functions = functions;
    this.#options = options;
  }

  async handle(request: Request, target: string, client: string): Promise<Response> {
    if (!methods.includes(request.method)) {
      return methodNotAllowed(request.method, methods.join(", "));
    }
    try {
      return await this.#run(request, target, client);
    } catch (error) {
      if (error instanceof BodyTooLargeError) return plainText(error.message, 413);
      return errorResponse(error);
    }
  }

  async #run(request: Request, target: string, client: string): Promise<Response> {
    const { method } = request;
    const { config, bodies } = this.#options;
    const opened = methodsWithoutBody.has(method)
      ? new Uint8Array(0)
      : await bodies.open(request, config.httpActionBodyBytesMax, client);
    const exchange = new ClientSide(request, opened);
    const { principal, identityError } = await this.#authenticate(request);
    const requestId = this.#options.requestIds.requestId();
    const result = await exchange.unlessBodyFails(this.#functions.httpAction({
      method,
      url: clientUrl(request, target),
      headers: [...request.headers],
      body: exchange.body,
      gone: exchange.gone,
      ...(identityError === undefined ? {} : { identityError }),
    }, { caller: principal, requestId, origin: "HttpEndpoint", client }));
    if (result.ok) return this.#answer(request, result);
    if ("failure" in result) return failureResponse(result, requestId, this.#options.redact);
    return await this.#options.fallback?.(request, target) ??
      (method === "GET" && target === "/" ? plainText(greeting) : plainText(result.notFound, 404));
  }

  #answer({ method }: Request, { response, body }: HttpResult & { ok: true }): Response {
    const { environment, config } = this.#options;
    if (body instanceof Uint8Array) return actionResponse(response, body, body.byteLength);
    const { stream, bytes } = body;
    if (method !== "HEAD" && !nullBodyStatuses.has(response.status)) {
      const stallMs = config.responseStallTimeoutS * 1000;
      return actionResponse(response, abandonedWhenStalled(stream, stallMs, environment), bytes);
    }
    // Nobody reads it; the action runs to its end.
    stream.cancel();
    return actionResponse(response, null, bytes);
  }

  /** A bad credential does not stop the action; it shows when the action asks who called (http-api 63). */
  async #authenticate(
    request: Request,
  ): Promise<{ principal: Principal; identityError?: string }> {
    const authorization = request.headers.get("authorization");
    if (authorization === null) return { principal: anonymous };
    try {
      return { principal: await this.#options.authenticator.request(authorization, null) };
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      return { principal: anonymous, identityError: error.message };
    }
  }
}

/** The client of one request as its action knows it, from here until the action has ended. */
class ClientSide {
  readonly body: Uint8Array | BodySource;
  readonly #gone = new AbortController();
  readonly #bodyFailed = Promise.withResolvers<never>();

  constructor(request: Request, body: Uint8Array | BodySource) {
    this.#bodyFailed.promise.catch(() => {});
    request.signal.addEventListener("abort", () => this.#gone.abort());
    this.body = body instanceof Uint8Array ? body : {
      read: () => body.read().catch((error) => this.#fail(error)),
      cancel: () => body.cancel(),
    };
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Rejects when the body does not arrive as it should: that answers the request, whatever the action makes of it. */
  unlessBodyFails<T>(result: Promise<T>): Promise<T> {
    return Promise.race([result, this.#bodyFailed.promise]);
  }

  #fail(error: unknown): never {
    this.#bodyFailed.reject(error);
    this.#gone.abort();
    throw error;
  }
}

/**
 * The URL as the client sees it, of which a proxy in front of us tells scheme and host (http-api 60).
 * @throws RequestError when what it tells makes no URL.
 */
function clientUrl({ headers, url }: Request, target: string): string {
  const forwarded = headers.get("forwarded") ?? "";
  const scheme = firstOf(headers.get("x-forwarded-proto")) ?? parameterOf(forwarded, "proto");
  const host = firstOf(headers.get("x-forwarded-host")) ?? parameterOf(forwarded, "host") ??
    headers.get("host") ?? new URL(url).host;
  const clientUrl = `${scheme?.toLowerCase() === "https" ? "https" : "http"}://${host}${target}`;
  if (!URL.canParse(clientUrl)) {
    throw new RequestError("badRequest", "InvalidHost", `${JSON.stringify(host)} is no valid host`);
  }
  return clientUrl;
}

/** A proxy behind a proxy appends its own value; the first is the client's. */
function firstOf(list: string | null): string | undefined {
  return list?.split(",", 1)[0]?.trim() || undefined;
}

/** A parameter of the first element of a `Forwarded` header (RFC 7239). */
function parameterOf(forwarded: string, name: string): string | undefined {
  const element = forwarded.split(",")[0]!;
  return new RegExp(`(?:^|;)\\s*${name}="?([^";]+)"?`, "i").exec(element)?.[1];
}

/** These describe how bytes travel on one connection, which is between us and the client. */
const connectionHeaders = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
]);

/** `bytes`: length of the body if it is known. For HEAD the body is left out on the way to the client. */
function actionResponse(
  { status, headers }: HttpActionResponse,
  body: Uint8Array | ReadableStream<Uint8Array<ArrayBuffer>> | null,
  bytes: number | null,
): Response {
  const own = new Headers();
  for (const [name, value] of headers) {
    if (!connectionHeaders.has(name.toLowerCase())) own.append(name, value);
  }
  if (nullBodyStatuses.has(status)) return new Response(null, { status, headers: own });
  if (bytes !== null) own.set("content-length", String(bytes));
  return new Response(body as BodyInit | null, { status, headers: own });
}

/** http-api 71. */
function failureResponse(
  { failure }: Extract<HttpResult, { readonly failure: unknown }>,
  requestId: string,
  redact: boolean,
): Response {
  const head = `[Request ID: ${requestId}] Server Error`;
  const text = redact
    ? { code: head }
    : { code: `${head}: ${failure.message}`, trace: failureText(failure) };
  const data = failure.data === undefined ? {} : { data: JSON.parse(failure.data) };
  return new Response(JSON.stringify({ ...text, ...data }), {
    status: 500,
    headers: { "content-type": "application/json" },
  });
}
