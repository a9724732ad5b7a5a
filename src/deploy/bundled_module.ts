/** A module as the bundler makes it, the deploy API carries it and the server stores it. */
import { createHash } from "node:crypto";

export interface BundledModule {
  /** Relative to the functions folder, ending in `.js`. */
  readonly path: string;
  readonly source: string;
  readonly sourceMap?: string;
  readonly environment: "isolate" | "node";
}

/** What both sides compare: SHA-256 of source and source map, one behind the other (deploy-protocol 3.3). */
export function hashModule(module: BundledModule): string {
  return createHash("sha256").update(module.source).update(module.sourceMap ?? "").digest("hex");
}
