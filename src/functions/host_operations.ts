/**
 * Operations that a running action asks the server for (function-abi 7, 8, 9, 13). What an isolate sends:
 *
 *   runQuery, runMutation, runAction   fields: the function's address; body: its arguments
 *   functionHandle                     fields: the function's address                     → its handle
 *   schedule                           address and `ts` in seconds; body: arguments       → job id
 *   cancelJob                          `id`                                               → null
 *   vectorSearch                       body: the query, as the function library makes it  → results
 *   storageStore                       `contentType`?, `sha256`?; body: the bytes         → storage id
 *   storageStorePiece                  the same and `upload`; body: the next piece        → null
 *   storageStore                       the same and `upload`; body: the last piece        → storage id
 *   storageGet                         `storageId`, `start`?   → body: the bytes from there on, or the first of them,
 *                                                                fields `found`, `contentType`, `size`
 *   storageDelete, storageGetUrl, storageGetMetadata      `storageId`
 *   storageGenerateUploadUrl           nothing
 *   tableNames                         nothing     → number and name of each table
 *
 * An address is `name` (`dir/mod:fn`), `functionHandle` or `reference`. Arguments are JSON text of one
 * object or of an array. Answers are JSON text unless said otherwise.
 */
import { appComponent, type ComponentId } from "../database/component.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { DeveloperError, FunctionError } from "../errors.ts";
import { type FileDescription, isMediaType, isSha256 } from "../file_storage/file_description.ts";
import type { FunctionAddress } from "../isolate/function_address.ts";
import { filePieceBytesMax, type HostOperation } from "../isolate/protocol.ts";
import { FileUploads } from "./file_uploads.ts";
import type {
  CallContext,
  Caller,
  FunctionResult,
  QueryRequest,
  QueryResult,
} from "./functions.ts";
import { calleeFailure } from "./host_failures.ts";
import type { ActionCaller, HostServices } from "./host_services.ts";
import type { Modules } from "./modules.ts";

type Fields = Readonly<Record<string, unknown>>;

const nobody: Caller = { kind: "system", identity: null };

export interface OperationAnswer {
  readonly body: Uint8Array;
  readonly fields?: Record<string, unknown>;
}

/** The part of `Functions` that actions reach. */
export interface NestedCalls {
  query(request: QueryRequest): Promise<QueryResult>;
  durable(timestamp: Timestamp): Promise<void>;
  mutation(path: string, args: string, context: CallContext): Promise<FunctionResult>;
  action(path: string, args: string, context: CallContext): Promise<FunctionResult>;
}

/** A Blob lies in the memory that all actions share (HULL_EXECUTOR_MEMORY_MIB), so it must leave room for others. */
const blobBytesMax = 128 * 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The operations of one action. */
export class HostOperations {
  readonly #functions: NestedCalls;
  readonly #services: HostServices;
  readonly #modules: Pick<Modules, "target" | "handleOf">;
  /** The action's. */
  readonly #component: ComponentId;
  /** Of the functions it calls. */
  readonly #context: CallContext;
  readonly #uploads: FileUploads;

  constructor(
    parts: {
      readonly functions: NestedCalls;
      readonly services: HostServices;
      readonly modules: Pick<Modules, "target" | "handleOf">;
    },
    component: ComponentId,
    context: CallContext,
  ) {
    this.#functions = parts.functions;
    this.#services = parts.services;
    this.#modules = parts.modules;
    this.#component = component;
    this.#context = context;
    this.#uploads = new FileUploads((file) => parts.services.storeFile(file, this.#caller()));
  }

  /** The action has ended. */
  close(): void {
    this.#uploads.close();
  }

  /** @throws FunctionError or DeveloperError for what the action's code may catch, anything for the rest. */
  async perform(
    operation: HostOperation,
    fields: Fields,
    body: Uint8Array,
  ): Promise<OperationAnswer> {
    switch (operation) {
      case "runQuery":
        return text(valueOf(await this.#query(fields, argumentsOf(body))));
      case "runMutation":
        return text(valueOf(await this.#call("mutation", fields, body)));
      case "runAction":
        return text(valueOf(await this.#call("action", fields, body)));
      case "functionHandle":
        return json(this.#modules.handleOf(fields, this.#component));
      case "schedule":
        return json(await this.#schedule(fields, body));
      case "cancelJob":
        await this.#services.cancelJob(stringField(fields, "id"), this.#caller());
        return json(null);
      case "vectorSearch":
        return json({ results: await this.#searchVectors(body) });
      case "storageStore":
        return json(await this.#storeFile(fields, body));
      case "storageStorePiece":
        await this.#uploads.write(countField(fields, "upload"), descriptionOf(fields), body);
        return json(null);
      case "storageGet":
        return await this.#getFile(fields);
      case "storageDelete":
        await this.#services.deleteFile(stringField(fields, "storageId"), this.#caller());
        return json(null);
      case "storageGetUrl":
        return json(
          await this.#services.getFileUrl(stringField(fields, "storageId"), this.#caller()),
        );
      case "storageGetMetadata": {
        const storageId = stringField(fields, "storageId");
        const metadata = await this.#services.getFileMetadata(storageId, this.#caller());
        return text(metadata ?? "null");
      }
      case "storageGenerateUploadUrl":
        return json(await this.#services.generateUploadUrl(this.#caller()));
      case "tableNames":
        return json(this.#services.tableNames(this.#caller()));
    }
  }

  async #query(address: FunctionAddress, args: string): Promise<FunctionResult> {
    const { path, context } = this.#target(address);
    const { result, timestamp } = await this.#functions.query({
      path,
      args,
      journal: null,
      context,
    });
    // An action may tell the whole world.
    await this.#functions.durable(timestamp);
    return result;
  }

  #call(kind: "mutation" | "action", fields: Fields, body: Uint8Array): Promise<FunctionResult> {
    const { path, context } = this.#target(fields);
    return this.#functions[kind](path, argumentsOf(body), context);
  }

  /** The identity stays within the app (components 7.3). */
  #target(address: FunctionAddress): { readonly path: string; readonly context: CallContext } {
    const { path, component } = this.#modules.target(address, this.#component);
    const isWithinApp = this.#component === appComponent && component === appComponent;
    const caller = isWithinApp ? this.#context.caller : nobody;
    return { path, context: { ...this.#context, component, caller } };
  }

  #schedule(fields: Fields, body: Uint8Array): Promise<string> {
    const timeS = fields.ts;
    if (typeof timeS !== "number") throw invalidArgument("ts", "scheduler", "expected a number");
    const target = this.#modules.target(fields, this.#component);
    const job = { ...target, args: argumentsOf(body), timeS };
    return this.#services.schedule(job, this.#caller());
  }

  async #searchVectors(body: Uint8Array): Promise<{ _id: string; _score: number }[]> {
    const query = JSON.parse(decoder.decode(body));
    const { matches, timestamp } = await this.#services.searchVectors(query, this.#caller());
    // An action may tell the whole world.
    await this.#functions.durable(timestamp);
    return matches.map(({ id, score }) => ({ _id: id, _score: score }));
  }

  #storeFile(fields: Fields, bytes: Uint8Array): Promise<string> {
    const description = descriptionOf(fields);
    const upload = uploadOf(fields);
    return upload === undefined
      ? this.#services.storeFile({ ...description, chunks: [bytes] }, this.#caller())
      : this.#uploads.finish(upload, description, bytes);
  }

  async #getFile(fields: Fields): Promise<OperationAnswer> {
    const start = fields.start === undefined ? 0 : countField(fields, "start");
    const storageId = stringField(fields, "storageId");
    const piece = await this.#services.readFile(
      { storageId, start, bytesMax: filePieceBytesMax },
      this.#caller(),
    );
    if (piece === null) return { body: new Uint8Array(0), fields: { found: false } };
    const { bytes, size, contentType } = piece;
    if (size > blobBytesMax) throw tooLargeForBlob(size);
    return { body: bytes, fields: { found: true, contentType, size } };
  }

  #caller(): ActionCaller {
    const { requestId, scheduledFunctionId = null } = this.#context;
    return { component: this.#component, requestId, scheduledFunctionId };
  }
}

function valueOf(result: FunctionResult): string {
  if (result.ok) return result.value;
  throw new FunctionError(calleeFailure(result.failure));
}

function argumentsOf(body: Uint8Array): string {
  const args = decoder.decode(body);
  return args.startsWith("[") ? args : `[${args}]`;
}

/** @throws DeveloperError when type or digest is none. */
function descriptionOf(fields: Fields): FileDescription {
  const contentType = optionalString(fields, "contentType");
  const sha256 = optionalString(fields, "sha256");
  if (contentType !== null && !isMediaType(contentType)) {
    throw new DeveloperError(
      "InvalidContentTypeHeader",
      `Invalid type of a Blob: ${JSON.stringify(contentType)} is no media type.`,
    );
  }
  if (sha256 !== null && !isSha256(sha256)) {
    throw new DeveloperError(
      "InvalidDigestHeader",
      `Invalid \`sha256\`: ${JSON.stringify(sha256)} is not the base64 form of 32 bytes.`,
    );
  }
  return { contentType, sha256 };
}

/** The action's own number for a file that it stores in pieces. */
function uploadOf(fields: Fields): number | undefined {
  return fields.upload === undefined ? undefined : countField(fields, "upload");
}

function tooLargeForBlob(size: number): DeveloperError {
  return new DeveloperError(
    "FileTooLarge",
    `storage.get() reads files of up to ${blobBytesMax} bytes, and this one has ${size}. ` +
      "Fetch the URL that storage.getUrl() returns and read the response's body piece by piece.",
  );
}

function countField(fields: Fields, name: string): number {
  const value = fields[name];
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
  throw invalidArgument(name, "operation", "expected a count");
}

function stringField(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw invalidArgument(name, "operation", "expected a string");
  return value;
}

function optionalString(fields: Fields, name: string): string | null {
  const value = fields[name];
  return typeof value === "string" ? value : null;
}

function invalidArgument(name: string, method: string, reason: string): DeveloperError {
  return new DeveloperError(
    "InvalidArgument",
    `Invalid argument \`${name}\` for \`${method}\`: ${reason}`,
  );
}

function text(body: string): OperationAnswer {
  return { body: encoder.encode(body) };
}

function json(value: unknown): OperationAnswer {
  return text(JSON.stringify(value));
}
