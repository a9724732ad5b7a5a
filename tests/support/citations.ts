/**
 * Which numbered lines of the behaviour's description the tests name. A test's name begins with what it
 * proves, up to the first colon:
 *
 *     semantics 31, 33-35, A2: …             lines of the document's checklist of testable behaviours
 *     semantics 11.3, §10: …                 sections: with a point, or with § when the whole chapter is meant
 *     http-api rule 24, 25: …                rules that the document's own text numbers
 *     function-abi 31, semantics 94: …       several documents; each goes for the numbers behind it
 *     I3, semantics 73: …                    invariants of ARCHITECTURE.md, before anything else
 */
import type { SourceFile } from "./source_files.ts";

const documents = [
  "components",
  "dashboard-api",
  "deploy-protocol",
  "function-abi",
  "http-api",
  "semantics",
  "sync-protocol",
];
const name = documents.join("|");
const token = new RegExp(`^(?:(${name}) )?(rule )?(§?[\\d.]+[a-z]?|A\\d+)(?:[-–](\\d+))?$`);

/** The checklist lines, as `semantics 31`, that the string constants of these tests name. */
export function namedLines(tests: readonly SourceFile[]): Set<string> {
  const constant = new RegExp(`["\`]((?:I\\d+, )*(?:${name}) [^"\`]*)`, "g");
  return new Set(
    tests.flatMap(({ code }) =>
      [...code.matchAll(constant)].flatMap(([, text]) => linesNamedBy(text!))
    ),
  );
}

/** The invariants, as `I3`, that the names of these tests begin with. */
export function namedInvariants(tests: readonly SourceFile[]): Set<string> {
  return new Set(
    tests.flatMap(({ code }) =>
      [...code.matchAll(/["`]((?:I\d+(?:, )?)+)/g)].flatMap(([, names]) => names!.match(/I\d+/g)!)
    ),
  );
}

export interface Invariant {
  readonly name: string;
  /** Paths of the tests that are to notice if it breaks. */
  readonly tests: readonly string[];
}

/** Those of ARCHITECTURE.md. */
export function invariantsOf(markdown: string): Invariant[] {
  const chapter = markdown.split("## Invariants\n")[1] ?? "";
  return chapter.split(/^- (?=\*\*I\d)/m).slice(1).map((text) => ({
    name: /I\d+/.exec(text)![0],
    tests: [...text.matchAll(/`([^`]+_test\.ts)`/g)].map(([, path]) => path!),
  }));
}

/** The checklist lines that the beginning of a test's name names. */
export function linesNamedBy(testName: string): string[] {
  const lines: string[] = [];
  let document: string | undefined;
  let isRule = false;
  for (const part of testName.replace(/^(I\d+, )*/, "").split(":")[0]!.split(/, | and /)) {
    const match = token.exec(part);
    if (match === null) break;
    const [, newDocument, rule, first, last] = match;
    if (newDocument !== undefined) [document, isRule] = [newDocument, false];
    if (rule !== undefined) isRule = true;
    if (isRule || /[§.]/.test(first!)) continue;
    if (last === undefined) lines.push(`${document} ${first}`);
    for (let n = Number(first); n <= Number(last); n++) lines.push(`${document} ${n}`);
  }
  return lines;
}

export interface ChecklistLine {
  /** As tests name it. */
  readonly name: string;
  readonly text: string;
}

/** The checklist of a document, with what stands under "Additions". */
export function checklistOf(document: string, markdown: string): ChecklistLine[] {
  const chapters = markdown.split(/^## /m)
    .filter((chapter) => /^([\d.]+ )?(Checklist of|Additions)/.test(chapter));
  return chapters.flatMap((chapter) =>
    [...chapter.matchAll(/\n(\d+[a-z]?|A\d+)\. (.*)/g)].map(([, number, text]) => ({
      name: `${document} ${number}`,
      text: text!,
    }))
  );
}
