/** `deno task compile`: makes one executable file of the program, for this machine or another. */
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { version } from "../cli/version.ts";
import { compileProgram } from "./base_runtime.ts";
import { layOutProgram } from "./program_folder.ts";
import { writeSelfExtracting } from "./self_extracting.ts";
import { installPackages } from "./target_packages.ts";
import { hostTarget, programName, type Target, targets } from "./targets.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

interface Options {
  readonly target?: string;
  readonly output?: string;
  readonly selfExtracting?: boolean;
  readonly deno?: string;
}

const options = new Command("deno task compile")
  .description("Make one executable file of Hull.")
  .addOption(
    new Option("--target <name>", "kind of machine; default: this one").choices(
      Object.keys(targets),
    ),
  )
  .option("--output <file>", "default: dist/hull, dist/hull-TARGET for another target")
  .option("--self-extracting", "do not try deno compile, which needs a base runtime")
  .option("--deno <file>", "Deno for the target, to go into a self-extracting executable")
  .addHelpText("after", "\nDENORT_BIN names a base runtime for deno compile that is at hand.")
  .parse().opts<Options>();

try {
  await compile(options);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}

async function compile(options: Options): Promise<void> {
  const host = hostTarget();
  const targetName = options.target ?? host;
  if (targetName === undefined) {
    throw new Error(`Hull cannot be packed for ${Deno.build.target}; choose with --target.`);
  }
  const target = targets[targetName]!;
  const file = targetName === host ? programName(target) : otherName(targetName, target);
  const output = resolve(options.output ?? join(root, "dist", file));
  await Deno.mkdir(dirname(output), { recursive: true });
  const folder = await Deno.makeTempDir({ prefix: "hull-program-" });
  // Beside the output, which is replaced at once: it may be running.
  const outputFolder = await Deno.makeTempDir({ dir: dirname(output), prefix: ".compile-" });
  try {
    await layOutProgram(folder, target);
    const unfinished = join(outputFolder, basename(output));
    const form = await writeExecutable(unfinished, folder, targetName, options);
    if (targetName === host) await checkExecutable(unfinished);
    await Deno.rename(unfinished, output);
    const { size } = await Deno.stat(output);
    console.log(`${output}: ${(size / 1024 ** 2).toFixed(1)} MiB, ${form}`);
  } finally {
    for (const path of [folder, outputFolder]) await Deno.remove(path, { recursive: true });
  }
}

function otherName(targetName: string, target: Target): string {
  return programName(target).replace(/^hull/, `hull-${targetName}`);
}

/** Resolves with the form it took. */
async function writeExecutable(
  output: string,
  folder: string,
  targetName: string,
  options: Options,
): Promise<string> {
  const target = targets[targetName]!;
  if (!options.selfExtracting) {
    const reason = await compileProgram(output, folder, target);
    if (reason === undefined) return "on Deno's base runtime";
    console.error(
      `deno compile has no base runtime for ${targetName}; DENORT_BIN can name one.\n${reason}\n`,
    );
  }
  if (target.os === "win32") {
    throw new Error("A self-extracting executable needs a POSIX shell, which Windows has not.");
  }
  console.error("Making a self-extracting executable with Deno itself inside.");
  const deno = await denoFor(targetName, options);
  try {
    const { path } = deno;
    await writeSelfExtracting(output, { folder, deno: path, target, targetName, version });
  } finally {
    await deno.remove();
  }
  return "self-extracting";
}

/** Deno for the target, as the npm registry has it; for this machine, the one that runs. */
async function denoFor(targetName: string, { deno }: Options) {
  const remove = () => Promise.resolve();
  if (deno !== undefined) return { path: deno, remove };
  if (targetName === hostTarget()) return { path: Deno.execPath(), remove };
  const target = targets[targetName]!;
  const specifier = `npm:${target.denoPackage}@${Deno.version.deno}`;
  const packages = await installPackages({ [target.denoPackage]: specifier }, target);
  return { path: join(packages.folder, target.denoPackage, "deno"), remove: packages.remove };
}

/** A base runtime that is none makes an executable that is something else. */
async function checkExecutable(path: string): Promise<void> {
  const { success, stdout } = await new Deno.Command(path, { args: ["--version"] }).output();
  const text = new TextDecoder().decode(stdout).trim();
  if (success && text === version) return;
  throw new Error(
    `The executable prints "${text}" instead of the version ${version}. Is DENORT_BIN a base runtime (denort) of Deno ${Deno.version.deno}?`,
  );
}
