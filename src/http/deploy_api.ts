/**
 * The endpoints of a push (deploy-protocol 3): who may call them, and how their bodies arrive. What they
 * mean is the push service's.
 */
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { errorMessage, RequestError } from "../errors.ts";
import { type ApiRequest, badDeployKey, badJsonBody } from "./api_request.ts";
import { BodyTooLargeError } from "./request_body.ts";
import { json } from "./responses.ts";
import type { ApiHandlers } from "./routes.ts";

/** Steps of a push, each given its parsed body; `PushService` of src/deploy/ is the implementation. */
export interface PushSteps {
  getConfigHashes(): unknown;
  startPush(body: unknown): Promise<unknown>;
  evaluatePush(body: unknown): Promise<unknown>;
  evaluateSchema(body: unknown): Promise<unknown>;
  waitForSchema(body: unknown): Promise<unknown>;
  finishPush(body: unknown): Promise<unknown>;
  deleteComponent(body: unknown): Promise<void>;
}

const decompress = promisify(brotliDecompress);

export function deployApi(push: PushSteps) {
  const step = (perform: (body: unknown) => unknown) => async (request: ApiRequest) =>
    json(await perform(await readAdminBody(request)));
  return {
    configHashes: step(() => push.getConfigHashes()),
    startPush: step((body) => push.startPush(body)),
    evaluatePush: step((body) => push.evaluatePush(body)),
    evaluateSchema: step((body) => push.evaluateSchema(body)),
    waitForSchema: step((body) => push.waitForSchema(body)),
    finishPush: step((body) => push.finishPush(body)),
    async deleteComponent(request) {
      await push.deleteComponent(await readAdminBody(request));
      return new Response(null);
    },
    /** Its timings are of no use here. */
    reportPushCompleted: step(() => null),
    /** Command lines before 1.28 pushed in another way. They would ask for half a minute if nothing were here. */
    refuseOldPush() {
      throw new RequestError(
        "badRequest",
        "UnsupportedClientVersion",
        "This server takes pushes of convex 1.28 and later. Run `npm install convex@latest` in the app and push again.",
      );
    },
  } satisfies Partial<ApiHandlers>;
}

/**
 * The body of an administrator's request. Older clients present their key inside the body alone; such a
 * body may not be large, because it has to be read before anybody knows whose it is.
 */
export async function readAdminBody(request: ApiRequest): Promise<unknown> {
  const { config, authenticator } = request.services;
  if (request.raw.headers.has("authorization")) {
    await request.requireAdmin();
    return await parseBody(request, config.pushBodyBytesMax);
  }
  const body = await parseBody(request, config.requestBodyBytesMax);
  const key = typeof body === "object" && body !== null && "adminKey" in body && body.adminKey;
  if (typeof key !== "string") throw badDeployKey(request.services.instanceName);
  authenticator.admin(key);
  return body;
}

async function parseBody({ raw, services }: ApiRequest, bytesMax: number): Promise<unknown> {
  try {
    const received = await services.bodies.bytes(raw, bytesMax);
    const bytes = await decode(received, raw.headers.get("content-encoding"), bytesMax);
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof RequestError && !(error instanceof BodyTooLargeError)) throw error;
    // Too large, not compressed as announced, or no JSON: all the sender's mistakes.
    throw badJsonBody(errorMessage(error), error);
  }
}

async function decode(
  bytes: Uint8Array,
  encoding: string | null,
  bytesMax: number,
): Promise<Uint8Array> {
  switch (encoding) {
    case null:
    case "identity":
      return bytes;
    case "br":
      return await decompress(bytes, { maxOutputLength: bytesMax }).catch((cause) => {
        const isTooLarge = cause instanceof RangeError;
        throw isTooLarge ? new BodyTooLargeError(bytesMax) : cause;
      });
    default:
      throw badJsonBody(`Content-Encoding ${encoding} is not understood; send br or none`);
  }
}
