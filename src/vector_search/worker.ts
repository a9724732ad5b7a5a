/** The thread that searches vector indexes: it reads the database and may run native code, which isolates may not. */
import { errorMessage, RequestError } from "../errors.ts";
import { VectorReader } from "../persistence/vector_reader.ts";
import type { FromSearchThread, ToSearchThread } from "./messages.ts";
import type { Searcher } from "./searcher.ts";

interface WorkerScope {
  onmessage: (event: MessageEvent<ToSearchThread>) => void;
  postMessage(message: FromSearchThread): void;
}

const scope = globalThis as unknown as WorkerScope;
let searcher: Promise<Searcher>;

scope.onmessage = async ({ data: message }) => {
  if (message.type === "open") {
    searcher = open(message.databasePath, message.bytesMax);
    // Every search says so.
    searcher.catch(() => {});
    return;
  }
  const { id, request } = message;
  try {
    scope.postMessage({ type: "found", id, matches: (await searcher).search(request) });
  } catch (error) {
    scope.postMessage(
      error instanceof RequestError
        ? { type: "refused", id, code: error.code, message: error.message }
        : { type: "failed", id, message: errorMessage(error) },
    );
  }
};

/** @throws RequestError when USearch brings no native code for this machine. */
async function open(databasePath: string, bytesMax: number): Promise<Searcher> {
  const reader = new VectorReader(databasePath);
  try {
    const { Searcher } = await import("./searcher.ts");
    return new Searcher(reader, bytesMax);
  } catch (cause) {
    throw new RequestError(
      "overloaded",
      "VectorSearchUnavailable",
      `Vector search does not work on this machine (${Deno.build.target}): ${errorMessage(cause)}`,
      { cause },
    );
  }
}
