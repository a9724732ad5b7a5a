/** The tables of docs/command-line.md, made of the program's own table. */
import { programDefinition } from "../../cli/commands.ts";
import type { CommandDefinition } from "../../cli/program.ts";
import { madePart } from "../support/made_part.ts";

interface NamedCommand {
  /** With the name of its family: `env set`. */
  readonly name: string;
  /** What one types, after `hull `. */
  readonly usage: string;
  readonly summary: string;
  /** The long ones. */
  readonly options: ReadonlySet<string>;
}

const groups = programDefinition.groups.map(({ title, commands }) => ({
  title,
  commands: commands.flatMap((command) =>
    "members" in command
      ? command.members.map((member) => named(`${command.name} `, member))
      : [named("", command)]
  ),
}));

export const commands: readonly NamedCommand[] = groups.flatMap(({ commands }) => commands);

function named(prefix: string, definition: CommandDefinition<unknown>): NamedCommand {
  const { usage, summary, options } = definition;
  return {
    name: prefix + usage.split(" ")[0],
    usage: prefix + usage,
    summary,
    options: new Set([...options.flatMap(({ long }) => long ?? []), "--help"]),
  };
}

/** Markdown, with the comments that mark where it begins and ends. */
export function commandTables(): string {
  const tables = groups.map(({ title, commands }) =>
    [
      title,
      "",
      "| command | what it does |",
      "| --- | --- |",
      ...commands.map(({ usage, summary }) => `| \`${usage}\` | ${summary} |`),
    ].join("\n")
  );
  return madePart("cli/commands.ts", tables.join("\n\n"));
}
