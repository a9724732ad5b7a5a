/** The repository's own source files and what each of them refers to, for tests about the code itself. */
import { dirname, join, normalize } from "node:path/posix";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Reference {
  /** Path inside the repository, or the specifier of a package. */
  readonly target: string;
  /** `lazy`: by `import(…)`. `url`: a worker or an asset named by `new URL(…, import.meta.url)`. */
  readonly kind: "value" | "lazy" | "type" | "url";
}

export interface SourceFile {
  /** Inside the repository. */
  readonly path: string;
  /** Without comments, so that rules look at code alone. */
  readonly code: string;
  readonly references: readonly Reference[];
}

/** All TypeScript files below the given folders (or the given files), tests included. */
export function readSources(...places: readonly string[]): SourceFile[] {
  return places.flatMap(listFiles).filter((path) => path.endsWith(".ts")).sort().map((path) => {
    const code = withoutComments(Deno.readTextFileSync(root + path));
    return { path, code, references: [...findReferences(path, code)] };
  });
}

function listFiles(place: string): string[] {
  if (!Deno.statSync(root + place).isDirectory) return [place];
  return [...Deno.readDirSync(root + place)].flatMap((entry) => {
    if (entry.name === "fixtures" || entry.name === "node_modules") return [];
    return listFiles(`${place}/${entry.name}`);
  });
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(?<![:"'`\w])\/\/.*$/gm, "");
}

function* findReferences(path: string, code: string): Generator<Reference> {
  const statement = /^\s*(?:import|export)\s+(type\s)?(?:[^;"'`]*?\sfrom\s+)?"([^"\n]+)"/gm;
  for (const [, type, specifier] of code.matchAll(statement)) {
    yield* refer(path, specifier!, type === undefined ? "value" : "type");
  }
  for (const [, specifier] of code.matchAll(/\bimport\(\s*"([^"\n]+)"/g)) {
    yield* refer(path, specifier!, "lazy");
  }
  for (const [, specifier] of code.matchAll(/new URL\(\s*"(\.[^"\n]+)"/g)) {
    yield* refer(path, specifier!, "url");
  }
}

/** Nothing if there is no such file: then it is text of generated code that only looks like an import. */
function* refer(
  from: string,
  specifier: string,
  kind: Reference["kind"],
): Generator<Reference> {
  if (!specifier.startsWith(".")) {
    yield { target: specifier, kind };
    return;
  }
  const target = normalize(join(dirname(from), specifier));
  if (exists(target)) yield { target, kind };
}

/** Whether there is such a path inside the repository. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(root + path);
    return true;
  } catch {
    return false;
  }
}
