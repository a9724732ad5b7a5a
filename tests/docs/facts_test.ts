/** What the documentation says in words is so: numbers, links, messages, commands, settings. */
import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path/posix";
import { checkMadePart } from "../support/made_part.ts";
import { exists, readSources, root } from "../support/source_files.ts";
import { commands, commandTables } from "./command_tables.ts";
import { limitTables } from "./limits.ts";
import { anchorsOf, blocksOf, linksOf, proseOf } from "./markdown.ts";
import { pages } from "./pages.ts";

const everyPage = pages();

Deno.test("tables of the documentation have the numbers and commands of the source", () => {
  for (
    const [path, tables] of [
      ["docs/limits.md", limitTables()],
      ["docs/command-line.md", commandTables()],
    ] as const
  ) {
    checkMadePart(path, tables);
  }
});

Deno.test("links of the documentation lead somewhere", () => {
  const broken: string[] = [];
  for (const { path, markdown } of everyPage) {
    for (const link of linksOf(markdown).filter((link) => !/^[a-z]+:/.test(link))) {
      const [file, anchor] = link.split("#") as [string, string?];
      const target = file === "" ? path : normalize(join(dirname(path), file));
      if (!exists(target)) broken.push(`${path}: ${link}`);
      else if (anchor !== undefined && !anchorsIn(target).has(anchor)) {
        broken.push(`${path}: ${link}, of which the page has ${[...anchorsIn(target)].join(", ")}`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

Deno.test("files that the documentation names are there", () => {
  const gone = everyPage.flatMap(({ path, markdown }) =>
    [...proseOf(markdown).matchAll(/`((?:src|runtime|cli|tests|examples|bench)\/[\w./]+)`/g)]
      .map(([, file]) => file!).filter((file) => !exists(file)).map((file) => `${path}: ${file}`)
  );
  assert.deepEqual(gone, []);
});

Deno.test("each guide can be reached from README.md", () => {
  const { markdown } = everyPage.find(({ path }) => path === "README.md")!;
  const links = new Set(linksOf(markdown).map((link) => link.split("#")[0]));
  const lost = everyPage.map(({ path }) => path)
    .filter((path) => path !== "README.md" && !links.has(path));
  assert.deepEqual(lost, []);
});

Deno.test("docs/troubleshooting.md quotes messages that the program has", () => {
  const { markdown } = everyPage.find(({ path }) => path === "docs/troubleshooting.md")!;
  const text = readSources("src", "runtime", "cli").filter(({ path }) => !path.endsWith("_test.ts"))
    .map(({ code }) => code).join("\n")
    .concat(Deno.readTextFileSync(`${root}packaging/self_extracting.sh`))
    // One message may be written as several strings, and holds quotation marks and backquotes.
    .replaceAll(/["`]\s*\+\s*["`]/g, "").replaceAll("\\`", "`");
  const quoted = [...markdown.matchAll(/^### `(.*)`$/gm)].map(([, message]) => message!);
  assert.ok(quoted.length > 30, "the messages stand in headings");
  const gone = quoted.filter((message) =>
    !message.split("…").every((part) => text.includes(part.trim()))
  );
  assert.deepEqual(gone, []);
  const codes = [...markdown.matchAll(/^\| \d{3} +\| `(\w+)`/gm)].map(([, code]) => code!);
  assert.deepEqual(codes.filter((code) => !text.includes(`"${code}"`)), []);
});

Deno.test("each function of the documentation is called in it", () => {
  const uncalled = everyPage.flatMap(({ path: page, markdown }) => {
    const blocks = blocksOf(page, markdown);
    const code = blocks.map(({ text }) => text).join("\n");
    return blocks.flatMap(({ path, text }) => {
      const module = /convex\/(?:.*\/)?(\w+)\.ts$/.exec(path)?.[1];
      if (module === undefined) return [];
      const functions = text.matchAll(
        /^export const (\w+) = (?:internal)?(?:query|mutation|action)\(/gim,
      );
      return [...functions].map(([, name]) => `${module}:${name}`)
        .filter((name) => !code.includes(name) && !code.includes(name.replace(":", ".")))
        .map((name) => `${page}: ${name}`);
    });
  });
  assert.deepEqual(uncalled, []);
});

Deno.test("settings that the documentation names are there", () => {
  const code = readSources("src", "cli", "runtime", "packaging", "tests")
    .map(({ code }) => code).join("\n");
  const unknown = everyPage.flatMap(({ path, markdown }) =>
    [...markdown.matchAll(/\b(?:HULL|CONVEX)_[A-Z_]+\b/g)].map(([name]) => name)
      .filter((name) => !new RegExp(`\\b${name}\\b`).test(code)).map((name) => `${path}: ${name}`)
  );
  assert.deepEqual(unknown, []);
});

Deno.test("commands and options that the documentation names are there", () => {
  const known = new Map(commands.map((command) => [command.name, command]));
  const wrong: string[] = [];
  for (const { path, markdown } of everyPage) {
    // At the beginning of a block's line or after a prompt, in backquotes, as a path, in a list of strings.
    const calls = markdown.replaceAll('", "', " ")
      .matchAll(/(?:^(?:\$ )?(?:sudo )?|[`/"(]|task )hull (?!ready on |npx )([a-z][^`\n)|]*)/gm);
    for (const [, call] of calls) {
      const [first, second] = call!.split(/[\s"]+/);
      const command = known.get(`${first} ${second}`) ?? known.get(first!);
      if (command === undefined) wrong.push(`${path}: hull ${call}`);
      for (const [option] of call!.matchAll(/(?<=\s)--[\w-]+/g)) {
        if (command?.options.has(option) === false) {
          wrong.push(`${path}: hull ${command.name} has no ${option}`);
        }
      }
    }
  }
  assert.deepEqual(wrong, []);
});

function anchorsIn(path: string): Set<string> {
  return anchorsOf(Deno.readTextFileSync(root + path));
}
