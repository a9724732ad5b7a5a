/** Turns the table of commands into a program: parsing, help, and what counts when an option is not given. */
import { Argument, Command, CommanderError, type Option } from "commander";
import { exitStatus } from "./failure.ts";
import { showsColours, styler } from "./terminal.ts";

export interface CommandDefinition<Options> {
  /** Name and arguments: `run <function> [args]`. */
  readonly usage: string;
  /** One line, as lists show it. */
  readonly summary: string;
  /** What else its help says. */
  readonly details?: string;
  /** What one types, after `hull `. */
  readonly examples?: readonly string[];
  readonly options: readonly Option[];
  /** What the arguments of `usage` are, by name. */
  readonly arguments?: Readonly<Record<string, string>>;
  /** What they may be, by name. */
  readonly choices?: Readonly<Record<string, readonly string[]>>;
  /** Resolves with the exit status. */
  readonly run: (options: Options, call: Call) => Promise<number>;
}

/** What a command is called with besides its options. */
export interface Call {
  readonly args: readonly string[];
  /** Whether somebody asked for the option's value: on the command line, in the environment or in hull.json. */
  isGiven(option: string): boolean;
  sourceOf(option: string): OptionSource;
}

export type OptionSource = "command line" | "environment" | "hull.json" | "default";

/** Commands that go together, under one word: `env set`. */
export interface CommandFamily {
  readonly name: string;
  readonly summary: string;
  readonly members: readonly CommandDefinition<unknown>[];
}

export interface CommandGroup {
  readonly title: string;
  readonly commands: readonly (CommandDefinition<unknown> | CommandFamily)[];
}

/** Values for options that neither the command line nor the environment gives. */
export type SettingsSource = () => Promise<Readonly<Record<string, unknown>>>;

export interface ProgramDefinition {
  readonly version: string;
  readonly description: string;
  readonly groups: readonly CommandGroup[];
  /** The command that options without one belong to. */
  readonly defaultCommand: string;
  readonly settings: SettingsSource;
  /** Stands at the end of the program's help. */
  readonly footer: string;
}

/**
 * Runs what `args` ask for and resolves with the exit status.
 * @throws what the command throws.
 */
export async function runProgram(
  definition: ProgramDefinition,
  args: readonly string[],
): Promise<number> {
  let status: number = exitStatus.done;
  const program = buildProgram(definition, (code) => status = code);
  try {
    await program.parseAsync(withCommand(args, definition.defaultCommand), { from: "user" });
    return status;
  } catch (error) {
    // It has been said already, help and version included.
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? exitStatus.done : exitStatus.usage;
    }
    throw error;
  }
}

/** The commander program; `done` is told each command's exit status. */
export function buildProgram(
  definition: ProgramDefinition,
  done: (status: number) => void = () => {},
): Command {
  const program = new Command("hull");
  configure(program);
  program.description(definition.description)
    .version(definition.version, "--version", "print the version")
    .helpOption("-h, --help", "show help")
    .addHelpText("after", `\n${definition.footer}`);
  const add = (command: Command, entry: CommandDefinition<unknown>) => {
    fill(command, entry);
    command.action(async () => {
      await applySettings(command, definition.settings);
      const call = {
        args: command.args,
        isGiven: (option: string) => sourceOf(command, option) !== "default",
        sourceOf: (option: string) => sourceOf(command, option),
      };
      done(await entry.run(command.opts(), call));
    });
  };
  for (const { title, commands } of definition.groups) {
    program.commandsGroup(title);
    for (const entry of commands) {
      if ("usage" in entry) {
        add(addCommand(program, entry.usage.split(" ", 1)[0]!), entry);
      } else {
        const family = addCommand(program, entry.name).description(entry.summary);
        for (const member of entry.members) {
          add(addCommand(family, member.usage.split(" ", 1)[0]!), member);
        }
      }
    }
  }
  // Last, so that it stands in the last group.
  return program.helpCommand("help [command]", "show what a command does and takes");
}

function withCommand(args: readonly string[], defaultCommand: string): readonly string[] {
  const [first] = args;
  const isForProgram = first !== undefined &&
    (!first.startsWith("-") || ["-h", "--help", "--version"].includes(first));
  return isForProgram ? args : [defaultCommand, ...args];
}

function addCommand(parent: Command, name: string): Command {
  const command = parent.command(name);
  configure(command);
  return command.helpOption("-h, --help", "show help").helpCommand(false);
}

function fill(command: Command, entry: CommandDefinition<unknown>): void {
  const { usage, summary, details, examples = [], options } = entry;
  for (const word of usage.split(" ").slice(1)) {
    const name = word.replace(/[<>[\].]/g, "");
    const argument = new Argument(word, entry.arguments?.[name]);
    const choices = entry.choices?.[name];
    if (choices !== undefined) argument.choices([...choices]);
    command.addArgument(argument);
  }
  for (const option of options) {
    // Who starts containers often passes on variables that are not set as empty ones.
    if (option.envVar !== undefined && Deno.env.get(option.envVar) === "") delete option.envVar;
    command.addOption(option);
  }
  command.summary(summary).description(
    details === undefined ? summary : `${summary}\n\n${details}`,
  );
  if (examples.length === 0) return;
  const lines = examples.map((example) => `  $ hull ${example}`);
  command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

/** One look for all: errors with their remedy and status 2, colours where there are any. */
function configure(command: Command): void {
  const bold = (text: string) => styler(Deno.stdout)("bold", text);
  command
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError(`\`hull ${pathOf(command)}--help\` shows what there is.`)
    .configureOutput({
      writeOut: (text) => console.log(text.replace(/\n$/, "")),
      writeErr: (text) => console.error(text.replace(/\n$/, "")),
      outputError: (text, write) =>
        write(text.replace(/^error: /, styler(Deno.stderr)("red", "✖ "))),
      getOutHasColors: () => showsColours(Deno.stdout),
      getErrHasColors: () => showsColours(Deno.stderr),
    })
    .configureHelp({ styleTitle: bold, subcommandTerm });
}

/** That nearly all of them take options needs no saying in a list. */
function subcommandTerm(command: Command): string {
  const args = command.registeredArguments
    .map((argument) => argument.required ? `<${argument.name()}>` : `[${argument.name()}]`);
  return [command.name(), ...args].join(" ");
}

function pathOf(command: Command): string {
  return command.parent === null ? "" : `${pathOf(command.parent)}${command.name()} `;
}

async function applySettings(command: Command, settings: SettingsSource): Promise<void> {
  const values = await settings();
  for (const option of command.options) {
    const name = option.attributeName();
    if (values[name] !== undefined && sourceOf(command, name) === "default") {
      command.setOptionValueWithSource(name, values[name], "config");
    }
  }
}

const sources: Readonly<Record<string, OptionSource>> = {
  cli: "command line",
  env: "environment",
  config: "hull.json",
};

function sourceOf(command: Command, name: string): OptionSource {
  return sources[command.getOptionValueSource(name) ?? ""] ?? "default";
}
