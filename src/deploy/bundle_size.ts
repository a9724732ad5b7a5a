/** The limit on an app's code, and what to do about it (deploy-protocol, "Bundling limitations"). */
import { AppError } from "./app_folder.ts";
import type { BundledModule } from "./bundled_module.ts";

const mebibyte = 1024 * 1024;
const bundleBytesMax = 32 * mebibyte;
const partsShown = 10;

/** Bytes that each input file takes in the outputs, by path. */
export type InputSizes = ReadonlyMap<string, number>;

/** What esbuild's metafile says of each output. */
interface Outputs {
  readonly [path: string]: {
    readonly inputs: { readonly [path: string]: { readonly bytesInOutput: number } };
  };
}

export function inputSizes(outputs: Outputs): InputSizes {
  const sizes = new Map<string, number>();
  for (const { inputs } of Object.values(outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      sizes.set(path, (sizes.get(path) ?? 0) + bytesInOutput);
    }
  }
  return sizes;
}

/** @throws AppError that names the largest packages and files, when the code of all modules together is too large. */
export function checkBundleSize(
  modules: readonly BundledModule[],
  sizes: readonly InputSizes[],
): void {
  const bytes = modules.reduce((sum, { source }) => sum + new Blob([source]).size, 0);
  if (bytes <= bundleBytesMax) return;
  const parts = new Map<string, number>();
  for (const [path, size] of sizes.flatMap((each) => [...each])) {
    const part = packageOf(path) ?? path;
    parts.set(part, (parts.get(part) ?? 0) + size);
  }
  const largest = [...parts].sort(([, a], [, b]) => b - a).slice(0, partsShown);
  throw new AppError([
    `The bundled code takes ${inMebibytes(bytes)}, more than the ${
      inMebibytes(bundleBytesMax)
    } that an app may have. Its largest parts:`,
    ...largest.map(([part, size]) => `  ${inMebibytes(size).padStart(10)}  ${part}`),
    `Import less of them, or mark packages of "use node" files as external in convex.json. --debug-bundle-path DIR writes the bundle to look at.`,
  ].join("\n"));
}

/** The npm package that a file belongs to. */
function packageOf(path: string): string | undefined {
  return /^.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
}

function inMebibytes(bytes: number): string {
  return `${(bytes / mebibyte).toFixed(2)} MiB`;
}
