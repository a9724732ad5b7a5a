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
let options: ToSearchThread & { readonly type: "open" };
let opening: Promise<Searcher> | undefined;

scope.onmessage = async ({ data: message }) => {
  if (message.type === "open") {
    options = message;
    return;
  }
  const { id, request } = message;
  try {
    const searcher = await (opening ??= open());
    scope.postMessage({ type: "found", id, result: searcher.search(request) });
  } catch (error) {
    scope.postMessage(
      error instanceof RequestError
        ? { type: "refused", id, code: error.code, message: error.message }
        : { type: "failed", id, message: errorMessage(error) },
    );
  }
};

/** @throws RequestError when USearch brings no native code for this machine. */
async function open(): Promise<Searcher> {
  try {
    const { Searcher } = await import("./searcher.ts").catch(unavailable);
    return new Searcher(new VectorReader(options.databasePath), options.bytesMax);
  } catch (error) {
    // The next search tries again.
    opening = undefined;
    throw error;
  }
}

function unavailable(cause: unknown): never {
  throw new RequestError(
    "overloaded",
    "VectorSearchUnavailable",
    `Vector search does not work on this machine (${Deno.build.target}): ${errorMessage(cause)}`,
    { cause },
  );
}
