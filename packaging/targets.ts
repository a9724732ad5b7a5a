/** The kinds of machines that a program can be packed for. */

export interface Target {
  /** Of Deno and Rust, e.g. `aarch64-apple-darwin`. */
  readonly triple: string;
  /** As `deno install` calls them. */
  readonly os: "linux" | "darwin" | "win32";
  readonly arch: "x64" | "arm64";
  /** The npm package that holds Deno for it. */
  readonly denoPackage: string;
  /** The npm package that holds esbuild for it. */
  readonly esbuildPackage: string;
  /** USearch's folder of native code for it. */
  readonly usearchPrebuild: string;
}

/** By the name that `--target` takes. */
export const targets: Readonly<Record<string, Target>> = {
  "linux-x64": {
    triple: "x86_64-unknown-linux-gnu",
    os: "linux",
    arch: "x64",
    denoPackage: "@deno/linux-x64-glibc",
    esbuildPackage: "@esbuild/linux-x64",
    usearchPrebuild: "linux-x64",
  },
  "linux-arm64": {
    triple: "aarch64-unknown-linux-gnu",
    os: "linux",
    arch: "arm64",
    denoPackage: "@deno/linux-arm64-glibc",
    esbuildPackage: "@esbuild/linux-arm64",
    usearchPrebuild: "linux-arm64",
  },
  "macos-x64": {
    triple: "x86_64-apple-darwin",
    os: "darwin",
    arch: "x64",
    denoPackage: "@deno/darwin-x64",
    esbuildPackage: "@esbuild/darwin-x64",
    usearchPrebuild: "darwin-arm64+x64",
  },
  "macos-arm64": {
    triple: "aarch64-apple-darwin",
    os: "darwin",
    arch: "arm64",
    denoPackage: "@deno/darwin-arm64",
    esbuildPackage: "@esbuild/darwin-arm64",
    usearchPrebuild: "darwin-arm64+x64",
  },
  "windows-x64": {
    triple: "x86_64-pc-windows-msvc",
    os: "win32",
    arch: "x64",
    denoPackage: "@deno/win32-x64",
    esbuildPackage: "@esbuild/win32-x64",
    usearchPrebuild: "win32-x64",
  },
};

/** The name of the target that this process runs on, if it is one. */
export function hostTarget(): string | undefined {
  return Object.keys(targets).find((name) => targets[name]!.triple === Deno.build.target);
}

/** What the program's file is called for a target. */
export function programName(target: Target): string {
  return target.os === "win32" ? "hull.exe" : "hull";
}
