/**
 * What identity providers publish about themselves, discovery documents and key sets: the only requests that the
 * server process makes. Each goes to one URL that the app's developer, or the provider that the developer named,
 * chose, and is bounded in time and size. No redirect is followed, but for one of the app to itself.
 */
import type { Environment } from "../environment.ts";
import { errorMessage } from "../errors.ts";

/** How long a provider may take to answer, in milliseconds. */
const answerMsMax = 10_000;
/** Real key sets have a few KB. */
const documentBytesMax = 256 * 1024;
/** Of a data URL only the beginning belongs into a message. */
const shownUrlLength = 200;

export interface ProviderDocument {
  readonly json: unknown;
  /** How long the provider says that it stays right, in seconds; null when it says nothing. */
  readonly maxAgeS: number | null;
}

/** What is fetched, for messages. */
export type DocumentKind = "discovery document" | "JWKS";

/** @throws ProviderDocumentError that says which document could not be had, from where, and why. */
export type FetchDocument = (kind: DocumentKind, url: string) => Promise<ProviderDocument>;

export class ProviderDocumentError extends Error {
  override name = "ProviderDocumentError";
  constructor(
    message: string,
    /** Of an answer that refuses; null without one, and when the answer is unusable. */
    readonly status: number | null,
    /** The provider cannot answer now; it may later. */
    readonly isTransient: boolean,
  ) {
    super(message);
  }
}

export interface DocumentSource {
  readonly environment: Environment;
  /** The answer of the app itself to requests for its own origin; undefined for any other URL. */
  readonly askOwnApp: (url: string, headers: Headers) => Promise<Response> | undefined;
}

/** Fetches documents from the app itself, from data URLs and over the network. */
export function documentFetcher({ environment, askOwnApp }: DocumentSource): FetchDocument {
  /** Follows one redirect within the app: Better Auth's discovery document is behind one. */
  const askApp = (url: string, headers: Headers) =>
    askOwnApp(url, headers)?.then(async (response) => {
      const target = redirectTarget(response, url);
      const answer = target === undefined ? undefined : askOwnApp(target, headers);
      if (answer === undefined) return response;
      await response.body?.cancel();
      return await answer;
    });
  return async (kind, url) => {
    const place = { kind, url: url.slice(0, shownUrlLength) };
    const deadline = new AbortController();
    const { promise: late, reject } = Promise.withResolvers<never>();
    const cancelTimer = environment.setTimer(answerMsMax, () => {
      reject(unreachable(place, `no answer in ${answerMsMax / 1000} s`));
    });
    const headers = new Headers({ accept: "application/json" });
    const ask = () =>
      askApp(url, headers) ??
        fetch(url, { headers, redirect: "manual", signal: deadline.signal });
    try {
      return await Promise.race([read(ask, place), late]);
    } finally {
      cancelTimer();
      // Ends a connection whose answer nobody will read to its end; otherwise there is nothing left to abort.
      deadline.abort();
    }
  };
}

/** Where a document is, for messages. */
interface Place {
  readonly kind: DocumentKind;
  readonly url: string;
}

async function read(ask: () => Promise<Response>, place: Place): Promise<ProviderDocument> {
  let response: Response;
  try {
    response = await ask();
  } catch (error) {
    throw unreachable(place, errorMessage(error));
  }
  if (!place.url.startsWith("data:")) checkHead(response, place);
  const json = parse(await readText(response, place), place);
  return { json, maxAgeS: maxAgeOf(response.headers) };
}

function isRedirect({ status }: Response): boolean {
  return status >= 300 && status < 400;
}

function redirectTarget(response: Response, url: string): string | undefined {
  const location = isRedirect(response) ? response.headers.get("location") : null;
  return location === null ? undefined : URL.parse(location, url)?.href;
}

function checkHead(response: Response, place: Place): void {
  const { status, headers } = response;
  const reason = `HTTP ${status} ${response.statusText}`.trimEnd();
  if (isRedirect(response)) {
    const advice = "Redirects are not followed: configure the URL that it leads to";
    throw unusable(place, `${reason}. ${advice}`);
  }
  if (status !== 200) {
    throw new ProviderDocumentError(notFetched(place, reason), status, status >= 500);
  }
  const type = headers.get("content-type") ?? "";
  if (/^application\/(jwk-set\+)?json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type)) return;
  const expected = "Expected 'application/json' or 'application/jwk-set+json'.";
  throw new ProviderDocumentError(
    `Invalid Content-Type '${type}' when fetching ${place.kind} from '${place.url}'. ${expected}`,
    null,
    false,
  );
}

async function readText({ body }: Response, place: Place): Promise<string> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  if (body === null) return text;
  try {
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > documentBytesMax) break;
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    throw unreachable(place, errorMessage(error));
  }
  if (bytes > documentBytesMax) {
    throw unusable(place, `the answer has more than ${documentBytesMax} bytes`);
  }
  return text + decoder.decode();
}

function parse(text: string, place: Place): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unusable(place, "the answer is no JSON");
  }
}

function maxAgeOf(headers: Headers): number | null {
  const control = headers.get("cache-control") ?? "";
  if (/\bno-(store|cache)\b/i.test(control)) return 0;
  const maxAge = /\bmax-age=(\d{1,10})\b/i.exec(control)?.[1];
  return maxAge === undefined
    ? null
    : Math.max(0, Number(maxAge) - Number(headers.get("age") ?? 0));
}

function unusable(place: Place, reason: string): ProviderDocumentError {
  return new ProviderDocumentError(notFetched(place, reason), null, false);
}

function unreachable(place: Place, reason: string): ProviderDocumentError {
  return new ProviderDocumentError(notFetched(place, reason), null, true);
}

function notFetched({ kind, url }: Place, reason: string): string {
  return `Could not fetch ${kind} from URL '${url}': ${reason}.`;
}
