/** A request to the API with what its handlers ask of it: the caller, the client program, the body. */
import type { Authenticator } from "../auth/authenticate.ts";
import type { Principal } from "../auth/identity.ts";
import type { Config } from "../config.ts";
import { errorMessage, RequestError } from "../errors.ts";
import type { RequestIds } from "../functions/request_id.ts";
import { type ClientVersion, parseClientVersion, unknownClient } from "./client_version.ts";
import { type BodyReader, BodyTooLargeError } from "./request_body.ts";

/** What every request is read with. */
export interface RequestServices {
  readonly authenticator: Authenticator;
  readonly bodies: BodyReader;
  readonly config: Config;
  readonly requestIds: RequestIds;
  readonly instanceName: string;
}

export class ApiRequest {
  readonly client: ClientVersion;
  #requestId: string | undefined;

  /** @throws RequestError when the client's version is malformed or no longer supported. */
  constructor(
    readonly raw: Request,
    /** See `CallContext.client`; `client` is the program it uses. */
    readonly sender: string,
    /** Percent-encoded, without the query string. */
    readonly path: string,
    /** What follows the question mark; empty without one. */
    readonly search: string,
    readonly services: RequestServices,
  ) {
    const header = raw.headers.get("convex-client");
    this.client = header === null ? unknownClient : parseClientVersion(header);
  }

  /** The client's own id, or 16 hex digits (http-api 10). Made when it is first needed. */
  get requestId(): string {
    return this.#requestId ??= this.raw.headers.get("convex-request-id") ??
      this.services.requestIds.requestId();
  }

  /** A parameter of the query string. */
  parameter(name: string): string | null {
    return this.search === "" ? null : new URLSearchParams(this.search).get(name);
  }

  /** @throws RequestError when there are credentials and they are bad. */
  async caller(): Promise<Principal> {
    const authorization = this.raw.headers.get("authorization");
    return await this.services.authenticator.request(authorization, this.parameter("adminKey"));
  }

  /** @throws RequestError unless the caller is an admin. */
  async requireAdmin(): Promise<void> {
    const caller = await this.caller();
    if (caller.kind !== "admin") throw badDeployKey(this.services.instanceName);
  }

  /** The body, parsed. @throws RequestError when it is too large or not JSON (http-api 5, 22). */
  async json(bytesMax = this.services.config.requestBodyBytesMax): Promise<unknown> {
    if (!isJsonType(this.raw.headers.get("content-type"))) {
      throw badJsonBody("Expected request with `Content-Type: application/json`");
    }
    try {
      return JSON.parse(await this.services.bodies.text(this.raw, bytesMax, this.sender));
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof BodyTooLargeError) {
        throw badJsonBody(errorMessage(error), error);
      }
      throw error;
    }
  }
}

/** deploy-protocol 2.4: what a caller without admin rights is told. */
export function badDeployKey(instanceName: string): RequestError {
  return new RequestError(
    "forbidden",
    "BadDeployKey",
    `The provided deploy key was invalid for deployment '${instanceName}'. Double check that the environment ` +
      "this key was generated for matches the desired deployment.",
  );
}

export function badJsonBody(message: string, cause?: unknown): RequestError {
  return new RequestError("badRequest", "BadJsonBody", message, { cause });
}

/** `application/json` or any `application/*+json`, with or without parameters. */
function isJsonType(contentType: string | null): boolean {
  return contentType === "application/json" ||
    /^application\/([^;\s]+\+)?json\s*(;|$)/i.test(contentType ?? "");
}
