/** Files for other programs in the documentation: by those programs where they are installed, else by their shape. */
import assert from "node:assert/strict";
import { type Block, blocksOf } from "./markdown.ts";
import { pages } from "./pages.ts";

const blocks = pages().flatMap(({ path, markdown }) => blocksOf(path, markdown));

function test(language: string, name: string, body: (block: Block) => Promise<void> | void): void {
  const found = blocks.filter((block) => block.language === language);
  assert.ok(found.length > 0, `the documentation has no ${language}`);
  Deno.test(name, async () => {
    for (const block of found) await body(block);
  });
}

test("ini", "systemd takes the unit of the documentation", async ({ path, text }) => {
  const folder = await Deno.makeTempDir({ prefix: "hull-docs-unit-" });
  try {
    // The program need not be installed here.
    const unit = text.replace(/^ExecStart=\S+/m, `ExecStart=${Deno.execPath()}`);
    await Deno.writeTextFile(`${folder}/${path}`, unit);
    const verify = new Deno.Command("systemd-analyze", {
      args: ["verify", `${folder}/${path}`],
      env: { SYSTEMD_COLORS: "0" },
    });
    const { code, stderr } = await verify.output();
    const complaints = new TextDecoder().decode(stderr).split("\n")
      .filter((line) => line.includes(path));
    assert.deepEqual([code, complaints], [0, []]);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.warn("SKIPPED for want of systemd-analyze");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("nginx", "each line of the nginx configuration ends as nginx expects", ({ text }) => {
  assertBalanced(text);
  const wrong = text.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !/[;{}]$/.test(line));
  assert.deepEqual(wrong, []);
  assert.match(text, /proxy_set_header Upgrade \$http_upgrade;/);
});

test("caddyfile", "the blocks of the Caddyfile are closed", ({ text }) => assertBalanced(text));

test(
  "dockerfile",
  "the container file has known instructions and a list as command",
  ({ text }) => {
    const instructions = text.replaceAll(/\\\n\s*/g, "").split("\n").filter((line) => line !== "");
    const known = /^(FROM|RUN|COPY|USER|VOLUME|EXPOSE|STOPSIGNAL|ENV|WORKDIR|CMD) \S/;
    assert.deepEqual(instructions.filter((line) => !known.test(line)), []);
    assert.match(instructions[0]!, /^FROM /);
    const command = JSON.parse(instructions.at(-1)!.slice("CMD ".length));
    assert.deepEqual(command.slice(0, 2), ["hull", "serve"]);
  },
);

function assertBalanced(text: string): void {
  let depth = 0;
  for (const brace of text.match(/[{}]/g) ?? []) {
    depth += brace === "{" ? 1 : -1;
    assert.ok(depth >= 0, "a block is closed that was not opened");
  }
  assert.equal(depth, 0, "a block is not closed");
}
