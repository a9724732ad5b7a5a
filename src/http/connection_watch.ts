/**
 * Keeps connections from exhausting the process. Clients can open any number of them and finish no request, or send a
 * WebSocket message whose fragments never end, which the runtime gathers before anybody sees one. Neither can be seen
 * from here but by what they take; then listeners are renewed, which costs those who wait for nothing their place.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { log } from "../logger.ts";
import type { Listener } from "./listener.ts";

/** What there is and what there may be. Undefined where the system does not tell. */
export interface ProcessUse {
  openFiles(): number | undefined;
  openFilesMax(): number | undefined;
  residentBytes(): number;
}

/** How often it is looked, in milliseconds: not many connections can be opened in between. */
const lookMs = 250;
/** What closing connections has to show, before it is done again for the same reason, in milliseconds. */
const pauseMs = { files: 2_000, memory: 60_000 };
/** Share of what the system allows that connections may have; the rest is for files and processes of our own. */
const openFilesShare = 0.8;
const MiB = 1024 * 1024;

export interface ConnectionWatchOptions {
  readonly listeners: readonly Pick<Listener, "renew">[];
  readonly use: ProcessUse;
  readonly environment: Environment;
  readonly config: Pick<
    Config,
    "connectionsMax" | "serverMemoryMiB" | "vectorMemoryMiB" | "queryCacheBytesMax"
  >;
}

/** Looks from now on until the returned function is called. */
export function watchConnections(options: ConnectionWatchOptions): () => void {
  const { listeners, use, environment, config } = options;
  const filesMax = Math.min(
    config.connectionsMax,
    (use.openFilesMax() ?? Infinity) * openFilesShare,
  );
  const bytesMax = (config.serverMemoryMiB + config.vectorMemoryMiB) * MiB +
    config.queryCacheBytesMax;
  const pausedUntilMs = { files: 0, memory: 0 };
  const isOver = {
    files: () => (use.openFiles() ?? 0) > filesMax,
    memory: () => use.residentBytes() > bytesMax,
  };
  let cancelTimer = () => {};
  const look = () => {
    cancelTimer = environment.setTimer(lookMs, look);
    const now = environment.monotonicMs();
    for (const reason of ["files", "memory"] as const) {
      if (now < pausedUntilMs[reason] || !isOver[reason]()) continue;
      pausedUntilMs[reason] = now + pauseMs[reason];
      log("warn", "Too much is open or held; connections that are not being answered are closed", {
        reason,
        openFiles: use.openFiles(),
        residentBytes: use.residentBytes(),
      });
      return listeners.forEach((listener) => listener.renew());
    }
  };
  look();
  return () => cancelTimer();
}
