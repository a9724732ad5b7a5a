/** Rules for the paths of pushed modules (deploy-protocol 3.4). */
import { RequestError } from "../errors.ts";

const segment = /^(?=.*[A-Za-z0-9])[A-Za-z0-9_.]{1,64}$/;

/**
 * The path as the deployment knows it: `/`-separated, ending in `.js`.
 * @throws RequestError when no module may have this path.
 */
export function canonicalModulePath(path: string): string {
  const canonical = path.endsWith(".js") ? path : `${path}.js`;
  const segments = canonical.split("/");
  const invalid = segments.find((name) => !segment.test(name));
  if (invalid !== undefined) {
    throw badPath(
      path,
      `path component ${
        JSON.stringify(invalid)
      } must be 1 to 64 letters, digits, underscores or periods, with a letter or digit among them`,
    );
  }
  if (segments[0] === "_system") throw badPath(path, "the folder _system is reserved");
  return canonical;
}

function badPath(path: string, reason: string): RequestError {
  return new RequestError(
    "badRequest",
    "BadConvexModuleIdentifier",
    `${JSON.stringify(path)} is not a valid path to a Convex module: ${reason}.`,
  );
}

/** Shared chunks hold no functions of their own. */
export function isChunk(path: string): boolean {
  return path.startsWith("_deps/");
}
