/** `hull completion`: what a shell needs to complete the program's words, made from the table of commands. */
import type { Command } from "commander";
import { buildProgram, type ProgramDefinition } from "./program.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

interface Word {
  readonly name: string;
  readonly summary: string;
}

interface OptionWord extends Word {
  /** With one letter, if there is such a form. */
  readonly short: string | undefined;
  /** What may follow: undefined for options without a value, empty for any value. */
  readonly values: readonly string[] | undefined;
}

/** The words that can follow a command; the program itself has the empty path. */
interface Place {
  readonly path: string;
  readonly commands: readonly Word[];
  readonly options: readonly OptionWord[];
}

/** The script that teaches `shell`. */
export function completionScript(shell: Shell, definition: ProgramDefinition): string {
  const places = listPlaces(buildProgram(definition), "");
  switch (shell) {
    case "bash":
      return bashScript(places);
    case "zsh":
      return zshScript(places);
    case "fish":
      return fishScript(places);
  }
}

function listPlaces(command: Command, path: string): Place[] {
  const help = command.createHelp();
  const place = {
    path,
    commands: help.visibleCommands(command).map((child) => ({
      name: child.name(),
      summary: child.summary() || child.description(),
    })),
    options: help.visibleOptions(command).filter(({ long }) => long !== undefined).map((
      option,
    ) => ({
      name: option.long!,
      short: option.short,
      summary: option.description,
      values: option.required ? option.argChoices ?? [] : undefined,
    })),
  };
  const below = command.commands.flatMap((child) =>
    listPlaces(child, `${path} ${child.name()}`.trim())
  );
  return [place, ...below];
}

/** `case` branches that follow the words before the cursor to a place. */
function steps(places: readonly Place[], variable: string): string {
  return places.filter(({ path }) => path !== "").map(({ path }) => {
    const parent = path.split(" ").slice(0, -1).join(" ");
    const name = path.split(" ").at(-1);
    return `      "${parent} ${name}") ${variable}="${path}" ;;`;
  }).join("\n");
}

/** `case` branches for the values of options; others than the listed ones are left to the shell: files. */
function valueBranches(places: readonly Place[], branch: (values: readonly string[]) => string) {
  return places.flatMap(({ path, options }) =>
    options.filter(({ values }) => values !== undefined).map(({ name, values }) =>
      `    "${path} ${name}") ${branch(values!)} ;;`
    )
  ).join("\n");
}

function bashScript(places: readonly Place[]): string {
  const words = places.map(({ path, commands, options }) =>
    `    "${path}") words="${[...commands, ...options].map(({ name }) => name).join(" ")}" ;;`
  );
  return `# Completion of hull for bash: eval "$(hull completion bash)" in ~/.bashrc
_hull() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" place="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$place $word" in
${steps(places, "place")}
    esac
  done
  COMPREPLY=()
  case "$place $prev" in
${valueBranches(places, (values) => values.length === 0 ? "return" : `words="${values.join(" ")}"`)}
  esac
  if [[ -z "$words" ]]; then
    case "$place" in
${words.join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _hull hull
`;
}

function zshScript(places: readonly Place[]): string {
  const item = ({ name, summary }: Word) => `'${`${name}:${summary}`.replaceAll("'", `'\\''`)}'`;
  const words = places.map(({ path, commands, options }) =>
    `    "${path}") items=(${[...commands, ...options].map(item).join(" ")}) ;;`
  );
  return `#compdef hull
# Completion of hull for zsh: eval "$(hull completion zsh)" in ~/.zshrc, after compinit
_hull() {
  local place="" word
  local -a items
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$place $word" in
${steps(places, "place")}
    esac
  done
  case "$place \${words[CURRENT-1]}" in
${
    valueBranches(
      places,
      (values) => values.length === 0 ? "_files; return" : `compadd ${values.join(" ")}; return`,
    )
  }
  esac
  case "$place" in
${words.join("\n")}
  esac
  _describe 'hull' items || _files
}
compdef _hull hull
`;
}

function fishScript(places: readonly Place[]): string {
  const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = places.flatMap(({ path, commands, options }) => {
    const condition = path === ""
      ? "__fish_use_subcommand"
      : path.split(" ").map((name) => `__fish_seen_subcommand_from ${name}`).join("; and ");
    const start = `complete -c hull -n ${quoted(condition)}`;
    return [
      ...commands.map(({ name, summary }) => `${start} -f -a ${name} -d ${quoted(summary)}`),
      ...options.map(({ name, short, summary, values }) => {
        const letter = short === undefined ? "" : ` -s ${short.slice(1)}`;
        const value = values === undefined
          ? ""
          : values.length === 0
          ? " -r"
          : ` -x -a ${quoted(values.join(" "))}`;
        return `${start}${letter} -l ${name.slice(2)}${value} -d ${quoted(summary)}`;
      }),
    ];
  });
  return `# Completion of hull for fish: hull completion fish | source\n${lines.join("\n")}\n`;
}
