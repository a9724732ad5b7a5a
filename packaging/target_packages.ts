/** Gets npm packages as they are installed on another kind of machine, native code included. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Target } from "./targets.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const projectSchema = z.object({ imports: z.record(z.string(), z.string()) });

export interface InstalledPackages {
  /** Each package in a folder of its name. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** The packages as deno.json names them, `npm:esbuild@0.28.2`, by name. */
export async function packageVersions(names: readonly string[]): Promise<Record<string, string>> {
  const { imports } = projectSchema.parse(
    JSON.parse(await Deno.readTextFile(join(root, "deno.json"))),
  );
  return Object.fromEntries(names.map((name) => {
    const specifier = imports[name];
    if (specifier === undefined) throw new Error(`deno.json does not import ${name}`);
    return [name, specifier];
  }));
}

/**
 * Deno installs them into a temporary folder, from its cache or the npm registry. Versions and checksums are those
 * of deno.lock; for packages that are not in there the checksum is the registry's.
 */
export async function installPackages(
  imports: Readonly<Record<string, string>>,
  { os, arch }: Target,
): Promise<InstalledPackages> {
  const folder = await Deno.makeTempDir({ prefix: "hull-packages-" });
  const remove = () => Deno.remove(folder, { recursive: true });
  try {
    await Deno.writeTextFile(
      join(folder, "deno.json"),
      JSON.stringify({ nodeModulesDir: "manual", imports }),
    );
    await Deno.copyFile(join(root, "deno.lock"), join(folder, "deno.lock"));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["install", "--quiet", "--os", os, "--arch", arch, "--node-modules-linker", "hoisted"],
      cwd: folder,
    }).output();
    if (!success) {
      throw new Error(
        `Installing ${Object.values(imports).join(", ")} for ${os}-${arch} failed:\n${
          new TextDecoder().decode(stderr)
        }`,
      );
    }
    return { folder: join(folder, "node_modules"), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
