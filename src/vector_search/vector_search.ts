/** `ctx.vectorSearch`: checks a query against the catalog and hands it to a thread of its own. */
import type { ComponentId } from "../database/component.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { RequestError } from "../errors.ts";
import { moduleUrl } from "../program_files.ts";
import type { FromSearchThread, ToSearchThread } from "./messages.ts";
import type { SearchRequest, SearchResult } from "./searcher.ts";
import { parseVectorQuery } from "./vector_query.ts";

export interface VectorSearchOptions {
  /** Of this thread. */
  readonly reader: SnapshotReader;
  readonly databasePath: string;
  /** Memory for vectors. */
  readonly bytesMax: number;
}

export class VectorSearch {
  readonly #options: VectorSearchOptions;
  /** Started by the first search. */
  #thread: SearchThread | undefined;

  constructor(options: VectorSearchOptions) {
    this.#options = options;
  }

  /**
   * Documents of the newest committed state, which need not be durable yet (function-abi 7).
   * @param query as the function library spells it; not checked yet.
   * @param component whose index it names.
   * @throws DeveloperError when there is no such index, or the query is not one for it.
   * @throws RequestError when the machine cannot serve it.
   */
  async search(query: unknown, component?: ComponentId): Promise<SearchResult> {
    const request = this.#parse(query, component);
    if (this.#thread === undefined || this.#thread.hasFailed) {
      this.#thread = new SearchThread(this.#options);
    }
    return await this.#thread.search(request);
  }

  #parse(query: unknown, component?: ComponentId): SearchRequest {
    const snapshot = this.#options.reader.open();
    try {
      return parseVectorQuery(query, snapshot.catalog, component);
    } finally {
      snapshot.close();
    }
  }

  close(): void {
    this.#thread?.fail(new Error("The server stops."));
  }
}

interface Pending {
  readonly resolve: (result: SearchResult) => void;
  readonly reject: (error: Error) => void;
}

class SearchThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #hasFailed = false;

  constructor({ databasePath, bytesMax }: VectorSearchOptions) {
    this.#worker = new Worker(moduleUrl("vectorSearch"), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<FromSearchThread>) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.fail(new Error(`The thread of vector search failed: ${event.message}`));
    };
    this.#send({ type: "open", databasePath, bytesMax });
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  search(request: SearchRequest): Promise<SearchResult> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#send({ type: "search", id, request });
    });
  }

  #send(message: ToSearchThread): void {
    this.#worker.postMessage(message);
  }

  #receive(answer: FromSearchThread): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    switch (answer.type) {
      case "found":
        return pending?.resolve(answer.result);
      case "refused":
        return pending?.reject(new RequestError("overloaded", answer.code, answer.message));
      case "failed":
        return pending?.reject(new Error(answer.message));
    }
  }

  /** Ends the thread and all that wait for it. */
  fail(error: Error): void {
    this.#hasFailed = true;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
