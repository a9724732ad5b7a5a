/** What the operating system lets this process have open, connections included. Linux only. */

/** How many files and connections are open; undefined on systems that do not tell. */
export function openFiles(): number | undefined {
  try {
    // Since Linux 6.2; before that it is 0.
    const { size } = Deno.statSync("/proc/self/fd");
    return size > 0 ? size : [...Deno.readDirSync("/proc/self/fd")].length;
  } catch {
    return undefined;
  }
}

/** How many can be; undefined on systems that do not tell. */
export function openFilesMax(): number | undefined {
  try {
    const limits = Deno.readTextFileSync("/proc/self/limits");
    const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
