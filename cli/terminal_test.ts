import assert from "node:assert/strict";
import { formatBytes, Progress, progressText, styler } from "./terminal.ts";

class Screen {
  text = "";
  constructor(readonly terminal: boolean) {}
  isTerminal = () => this.terminal;
  writeSync(bytes: Uint8Array): number {
    this.text += new TextDecoder().decode(bytes);
    return bytes.length;
  }
}

function withVariables(variables: Record<string, string>, test: () => void): void {
  const names = ["NO_COLOR", "FORCE_COLOR", "TERM"];
  const before = names.map((name) => [name, Deno.env.get(name)] as const);
  names.forEach((name) => Deno.env.delete(name));
  Object.entries(variables).forEach(([name, value]) => Deno.env.set(name, value));
  try {
    test();
  } finally {
    names.forEach((name) => Deno.env.delete(name));
    for (const [name, value] of before) if (value !== undefined) Deno.env.set(name, value);
  }
}

Deno.test("styler colours on terminals, as NO_COLOR and FORCE_COLOR want it", () => {
  const isColoured = (terminal: boolean) => styler(new Screen(terminal))("red", "x") !== "x";
  withVariables({}, () => assert.deepEqual([isColoured(true), isColoured(false)], [true, false]));
  withVariables({ NO_COLOR: "1" }, () => assert.equal(isColoured(true), false));
  withVariables({ NO_COLOR: "1", FORCE_COLOR: "1" }, () => assert.equal(isColoured(true), false));
  withVariables({ FORCE_COLOR: "1" }, () => assert.equal(isColoured(false), true));
  withVariables({ FORCE_COLOR: "0" }, () => assert.equal(isColoured(true), false));
  withVariables({ TERM: "dumb" }, () => assert.equal(isColoured(true), false));
});

Deno.test("progressText tells how much of how much", () => {
  assert.equal(progressText(0, undefined, String), "…");
  assert.equal(progressText(1500, undefined, formatBytes), "1.5 kB");
  assert.equal(progressText(1, 4, String), `${"█".repeat(6)}${"░".repeat(18)} 25 % of 4`);
  assert.match(progressText(9, 4, String), /^█{24} 100 %/);
});

Deno.test("Progress says nothing where there is no terminal, and nothing of what is over at once", () => {
  for (const terminal of [true, false]) {
    const screen = new Screen(terminal);
    {
      using progress = new Progress("Waiting", String, screen);
      progress.update(1, 2);
    }
    assert.equal(screen.text, "");
  }
});

Deno.test("formatBytes", () => {
  assert.deepEqual([0, 999, 1000, 1_234_567, 5e12].map(formatBytes), [
    "0 bytes",
    "999 bytes",
    "1.0 kB",
    "1.2 MB",
    "5.0 TB",
  ]);
});
