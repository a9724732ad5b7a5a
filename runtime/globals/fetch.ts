/** `fetch`: for actions only. A request that is still under way when its action ends is given up. */
import type { Execution } from "../execution.ts";
import type { Realm } from "../realm.ts";
import { defineHidden } from "./properties.ts";
import { forbiddenError } from "./refusals.ts";

export function installFetch(realm: Realm): void {
  const nativeFetch = globalThis.fetch;
  const fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const { execution } = realm;
    if (execution.isDeterministic) {
      throw forbiddenError("fetch()", execution);
    }
    const request = new Request(input, init);
    checkScheme(request.url);
    try {
      return await ownedBy(execution, (signal) => nativeFetch(request, { signal }), request.signal);
    } catch (error) {
      throw redirectError(error) ?? error;
    }
  };
  defineHidden(globalThis, { fetch });
}

/** Deno's errors about redirects in the words of semantics 1.5; null for any other. */
function redirectError(error: unknown): TypeError | null {
  const message = error instanceof TypeError ? error.message : "";
  if (/Maximum number of redirects/.test(message)) {
    return new TypeError("fetch too many redirects");
  }
  if (/redirect mode is set to 'error'/.test(message)) {
    return new TypeError("fetch attempted redirect");
  }
  return null;
}

function checkScheme(url: string): void {
  const scheme = new URL(url).protocol.slice(0, -1);
  if (scheme === "http" || scheme === "https") return;
  throw new TypeError(
    `Unsupported URL scheme -- http and https are supported (scheme was ${scheme})`,
  );
}

async function ownedBy<T>(
  execution: Execution,
  start: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const ending = new AbortController();
  execution.onEnd(() => ending.abort());
  execution.usedNetwork = true;
  execution.pendingOperations++;
  try {
    return await start(AbortSignal.any([signal, ending.signal]));
  } finally {
    execution.pendingOperations--;
  }
}
