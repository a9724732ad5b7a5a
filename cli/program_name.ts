/** How whoever reads a message would call the program again. */
import { basename, dirname, join } from "node:path";

/**
 * `hull` where that is on the PATH, else the file itself: people try a program where they downloaded it. Packaging that
 * starts the program through another file names that file in HULL_EXECUTABLE.
 */
export function programName(): string {
  const file = Deno.env.get("HULL_EXECUTABLE") ||
    (Deno.build.standalone ? Deno.execPath() : "hull");
  if (file === "hull") return file;
  const name = basename(file).replace(/\.exe$/, "");
  const folders = (Deno.env.get("PATH") ?? "").split(Deno.build.os === "windows" ? ";" : ":");
  if (folders.includes(dirname(file))) return name;
  return file === join(Deno.cwd(), basename(file)) ? `./${name}` : file;
}
