/** Messages between the main thread and the thread that searches. */
import type { SearchRequest, SearchResult } from "./searcher.ts";

export type ToSearchThread =
  /** First of all. */
  | { readonly type: "open"; readonly databasePath: string; readonly bytesMax: number }
  | { readonly type: "search"; readonly id: number; readonly request: SearchRequest };

/** An answer to `search`. */
export type FromSearchThread =
  | { readonly type: "found"; readonly id: number; readonly result: SearchResult }
  /** The caller is to know why. */
  | {
    readonly type: "refused";
    readonly id: number;
    readonly code: string;
    readonly message: string;
  }
  | { readonly type: "failed"; readonly id: number; readonly message: string };
