/** Which client program sends a request: the header `Convex-Client` (http-api 8–9, sync-protocol 6–8). */
import { RequestError } from "../errors.ts";

export interface ClientVersion {
  /** Lower case, e.g. `npm`, `npm-cli`; `unknown` without the header. */
  readonly name: string;
  /** Null when the version text is not one that we recognise: older than every other. */
  readonly version: SemanticVersion | null;
}

interface SemanticVersion {
  readonly numbers: readonly [major: number, minor: number, patch: number];
  readonly isPrerelease: boolean;
}

export const unknownClient: ClientVersion = { name: "unknown", version: null };

const semanticVersion = /^(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

/** Clients that speak a protocol which newer servers no longer do, by their last version. */
const unsupportedUpTo: SemanticVersion = { numbers: [0, 19, 1], isPrerelease: false };
const clientsThatEnd = new Set(["npm", "npm-cli", "actions"]);

/**
 * Parses a header value.
 * @throws RequestError when it is malformed, or the client is too old to be served.
 */
export function parseClientVersion(header: string): ClientVersion {
  const pieces = header.split("-");
  if (pieces.length < 2) {
    throw new RequestError(
      "badRequest",
      "InvalidClientVersion",
      `Failed to parse client version string: ${header} (expected NAME-VERSION)`,
    );
  }
  return requireSupported(split(pieces));
}

/** The client of a socket whose path names the version of the npm package (sync-protocol 7). */
export function npmClient(version: string): ClientVersion {
  const parsed = parseVersion(version);
  if (parsed === null) {
    throw new RequestError(
      "badRequest",
      "InvalidClientVersion",
      `Failed to parse client version string: ${version}`,
    );
  }
  return requireSupported({ name: "npm", version: parsed });
}

/** Whether the client is at least this version. */
export function isAtLeast(
  client: ClientVersion,
  major: number,
  minor: number,
  patch: number,
): boolean {
  return client.version !== null &&
    compare(client.version, { numbers: [major, minor, patch], isPrerelease: false }) >= 0;
}

/** The longest suffix that is a version counts; without one the first piece is the name. */
function split(pieces: readonly string[]): ClientVersion {
  for (let start = 1; start < pieces.length; start++) {
    const version = parseVersion(pieces.slice(start).join("-"));
    if (version !== null) {
      return { name: pieces.slice(0, start).join("-").toLowerCase(), version };
    }
  }
  return { name: pieces[0]!.toLowerCase(), version: null };
}

function parseVersion(text: string): SemanticVersion | null {
  const match = semanticVersion.exec(text);
  if (match === null) return null;
  const numbers = [Number(match[1]), Number(match[2]), Number(match[3])] as const;
  return { numbers, isPrerelease: match[4] !== undefined };
}

function requireSupported(client: ClientVersion): ClientVersion {
  const tooOld = client.version === null || compare(client.version, unsupportedUpTo) <= 0;
  if (!clientsThatEnd.has(client.name) || !tooOld) return client;
  throw new RequestError(
    "badRequest",
    "ClientVersionUnsupported",
    `The version of your ${client.name} client is no longer supported. Update the npm package "convex".`,
  );
}

function compare(a: SemanticVersion, b: SemanticVersion): number {
  for (let i = 0; i < 3; i++) {
    const difference = a.numbers[i]! - b.numbers[i]!;
    if (difference !== 0) return difference;
  }
  return Number(b.isPrerelease) - Number(a.isPrerelease);
}
