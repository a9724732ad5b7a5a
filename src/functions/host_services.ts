/**
 * Operations of actions that other parts of the server perform: jobs (the scheduler), files (file storage)
 * and vector search. All of them are those of the action's component. Each call is a transaction of its own and
 * resolves when its effect is durable.
 *
 * A rule broken by user code is thrown as `DeveloperError` or `FunctionError`; its message reaches the
 * action as an ordinary rejection. Anything else becomes a generic text there and an event in our log.
 */
import type { ComponentId } from "../database/component.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { FileDescription } from "../file_storage/file_description.ts";

export interface HostServices {
  /** Creates a job and resolves with its document id (function-abi 8.1). */
  schedule(job: JobRequest, caller: ActionCaller): Promise<string>;
  /** Cancels a job unless it is finished or unknown (function-abi 8.2). */
  cancelJob(id: string, caller: ActionCaller): Promise<void>;
  /** The documents that are nearest to a vector (function-abi 7). */
  searchVectors(query: unknown, caller: ActionCaller): Promise<VectorSearchResult>;
  /** Stores a file and resolves with the file's `_storage` document id (function-abi 9). */
  storeFile(file: FileToStore, caller: ActionCaller): Promise<string>;
  /** A part of a file, from `start`, of at most `bytesMax`; null when there is no such file. */
  readFile(part: FilePart, caller: ActionCaller): Promise<FilePiece | null>;
  deleteFile(storageId: string, caller: ActionCaller): Promise<void>;
  getFileUrl(storageId: string, caller: ActionCaller): Promise<string | null>;
  /** Metadata as JSON text of an encoded object, or null. */
  getFileMetadata(storageId: string, caller: ActionCaller): Promise<string | null>;
  generateUploadUrl(caller: ActionCaller): Promise<string>;
  /** Every table that there is now of the action's component. */
  tableNames(caller: ActionCaller): readonly (readonly [number: number, name: string])[];
}

/** The action on whose behalf an operation runs. */
export interface ActionCaller {
  /** The component that it belongs to. */
  readonly component: ComponentId;
  readonly requestId: string;
  /** The job that runs the action, if any: what a cancelled job schedules is created cancelled. */
  readonly scheduledFunctionId: string | null;
}

export interface JobRequest {
  /** `dir/mod:fn` as the action named it, of a component; existence is for the scheduler to check. */
  readonly path: string;
  readonly component: ComponentId;
  /** JSON text of the arguments array `[{…}]`, convex_encoded_json. */
  readonly args: string;
  /** When to run, in seconds since the epoch with fraction; may lie in the past. */
  readonly timeS: number;
}

export interface VectorSearchResult {
  /** Best first. */
  readonly matches: readonly { readonly id: string; readonly score: number }[];
  /** Of the newest commit that the search saw, which need not be durable yet. */
  readonly timestamp: Timestamp;
}

export interface FileToStore extends FileDescription {
  /** Each is asked for when the one before has been written. */
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface FilePart {
  readonly storageId: string;
  /** Both in bytes. */
  readonly start: number;
  readonly bytesMax: number;
}

export interface FilePiece {
  readonly bytes: Uint8Array;
  /** Of the whole file. */
  readonly size: number;
  readonly contentType: string | null;
}
