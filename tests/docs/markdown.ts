/**
 * What the documentation's pages hold for tests: code blocks, headings and links.
 *
 *     ```ts convex/tasks.ts          a file of the page's app
 *     ```sh                          commands that must succeed
 *     ```console                     `$ ` and a command, `> ` and more of it, then what it prints;
 *                                    `…` stands for any text, on a line of its own for any lines
 *     <!-- not run: why -->          before a block that no test runs
 *     <!-- run                       commands that readers do not see, such as what a dashboard would do
 *     …
 *     -->
 */

export interface Block {
  /** Path inside the repository, and the line of its first line of text. */
  readonly page: string;
  readonly line: number;
  /** First word after the fence. */
  readonly language: string;
  /** The rest, if any: a path inside the page's app. */
  readonly path: string;
  readonly text: string;
  /** Why no test runs it; empty if one does. */
  readonly notRun: string;
}

/** The fenced blocks of a page in their order, and hidden commands as blocks of `sh`. */
export function blocksOf(page: string, markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split("\n");
  let notRun = "";
  for (let at = 0; at < lines.length; at++) {
    const comment = /^\s*<!-- not run: (.+) -->$/.exec(lines[at]!);
    const fence = /^(\s*)(```+)(\w*)\s*(.*)$/.exec(lines[at]!);
    if (comment !== null) {
      notRun = comment[1]!;
    } else if (lines[at] === "<!-- run") {
      const end = lines.indexOf("-->", at);
      if (end < 0) throw new Error(`${page}:${at + 1}: the hidden commands have no end`);
      const text = lines.slice(at + 1, end).join("\n");
      blocks.push({ page, line: at + 2, language: "sh", path: "", text, notRun: "" });
      at = end;
    } else if (fence !== null) {
      const [, indent, marks, language, path] = fence;
      const end = lines.indexOf(`${indent}${marks}`, at + 1);
      if (end < 0) throw new Error(`${page}:${at + 1}: the block has no end`);
      const text = lines.slice(at + 1, end).map((line) => line.slice(indent!.length)).join("\n");
      blocks.push({ page, line: at + 2, language: language!, path: path!, text, notRun });
      notRun = "";
      at = end;
    } else if (lines[at]!.trim() !== "") {
      notRun = "";
    }
  }
  return blocks;
}

/** One command of a `console` block and what it is to print. */
export interface Exchange {
  readonly command: string;
  readonly output: string;
}

export function exchangesOf({ page, line, text }: Block): Exchange[] {
  const exchanges: { command: string; output: string[] }[] = [];
  for (const row of text.split("\n")) {
    const last = exchanges.at(-1);
    if (row.startsWith("$ ")) exchanges.push({ command: row.slice(2), output: [] });
    else if (last === undefined) {
      throw new Error(`${page}:${line}: a console block begins with "$ "`);
    } else if (row.startsWith("> ") && last.output.length === 0) {
      last.command += `\n${row.slice(2)}`;
    } else last.output.push(row);
  }
  return exchanges.map(({ command, output }) => ({ command, output: output.join("\n").trimEnd() }));
}

/** Whether a command printed what the page says. */
export function isOutput(expected: string, printed: string): boolean {
  const pattern = expected.split("\n").map((line) =>
    line.trim() === "…"
      ? "(?:.*\\n)*?"
      : `${line.split("…").map((text) => RegExp.escape(text)).join(".*")}\\n`
  ).join("");
  const lines = printed.split("\n").map((line) => line.trimEnd()).join("\n").trimEnd();
  return new RegExp(`^${pattern}$`).test(`${lines}\n`);
}

/** The text without its blocks and comments. */
export function proseOf(markdown: string): string {
  return markdown.replace(/^(\s*)(```+)[^]*?^\1\2$/gm, "").replace(/<!--[^]*?-->/g, "");
}

/** As GitHub makes them of headings: `#stopping-a-server`. */
export function anchorsOf(markdown: string): Set<string> {
  const headings = [...proseOf(markdown).matchAll(/^#+ (.+)$/gm)];
  return new Set(
    headings.map(([, text]) =>
      text!.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

/** Targets of links and pictures. */
export function linksOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
}
