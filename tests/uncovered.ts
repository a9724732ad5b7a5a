/**
 * `deno task uncovered [document…]`: lists the checklist lines of the behaviour's description that no test
 * names. How tests name them: `support/citations.ts`. The description is not part of the repository; it is
 * looked for beside it.
 */
import { checklistOf, namedLines } from "./support/citations.ts";
import { readSources, root } from "./support/source_files.ts";

const folder = `${root}../shared/spec`;

function documentsIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => name.endsWith(".md")).map((name) => name.slice(0, -3)).sort();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(
      "There is no ../shared/spec beside this repository, so there is nothing to compare.",
    );
    return [];
  }
}

const sources = readSources("src", "runtime", "cli", "tests");
const named = namedLines(sources.filter(({ path }) => path.endsWith("_test.ts")));
const wanted = Deno.args;
for (const document of documentsIn(folder)) {
  if (wanted.length > 0 && !wanted.includes(document)) continue;
  const checklist = checklistOf(document, Deno.readTextFileSync(`${folder}/${document}.md`));
  const uncovered = checklist.filter(({ name }) => !named.has(name));
  console.log(
    `${document}: tests name ${checklist.length - uncovered.length} of ${checklist.length} lines`,
  );
  for (const { name, text } of uncovered) console.log(`  ${name}: ${text}`);
}
