/** What the program shows on a terminal: one is made with `script` of util-linux, where that is installed. */
import assert from "node:assert/strict";
import { makeApp } from "../support/apps.ts";
import { programCommand } from "../support/program.ts";
import { runCommand } from "../support/server_process.ts";
import { within } from "../support/waiting.ts";

const hasScript = await Deno.stat("/usr/bin/script").then(() => true, () => false);

interface TerminalOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Is told everything that was shown so far, again and again. */
  readonly onText?: (text: string) => void;
}

/** What a terminal receives of the program, with ESC for the character of that name. */
async function onTerminal(
  args: readonly string[],
  { environment = {}, onText = () => {} }: TerminalOptions = {},
): Promise<string> {
  const command = programCommand(args).map((word) => `'${word}'`).join(" ");
  const { stdout } = new Deno.Command("/usr/bin/script", {
    args: ["--quiet", "--return", "--command", command, "/dev/null"],
    // Whoever runs the tests may want no colours for themselves.
    env: { TERM: "xterm", NO_COLOR: "", ...environment },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let text = "";
  for await (const chunk of stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk.replaceAll("\x1b", "ESC");
    onText(text);
  }
  return text;
}

Deno.test({
  name: "colours are for terminals; NO_COLOR and FORCE_COLOR have the last word",
  ignore: !hasScript,
  async fn() {
    assert.match(
      await onTerminal(["run", "a:b", "--data", "/no/such"]),
      /ESC\[31m✖ESC\[0m No server/,
    );
    assert.match(await onTerminal(["--help"]), /ESC\[1mUsage:/);
    const plain = await onTerminal(["run", "a:b", "--data", "/no/such"], {
      environment: { NO_COLOR: "1" },
    });
    assert.doesNotMatch(plain, /ESC\[/);
    const piped = await runCommand(["run", "a:b"], { environment: { NO_COLOR: "" } });
    assert.ok(!piped.output.includes("\x1b"));
    const forced = { NO_COLOR: "", FORCE_COLOR: "1" };
    const { output } = await runCommand(["run", "a:b"], { environment: forced });
    assert.ok(output.includes("\x1b[31m✖"));
  },
});

Deno.test({
  name: "what takes longer than a second shows how far it is, on a terminal alone",
  ignore: !hasScript,
  async fn() {
    // Answers with two halves, the second one when the first has been shown.
    const shown = Promise.withResolvers<void>();
    const half = new Uint8Array(1_000_000);
    const slow = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
      if (url.includes("/request/zip")) return new Response(null);
      if (url.includes("/api/function")) {
        return Response.json({
          status: "success",
          value: { _id: `id${count++}`, state: "completed" },
        });
      }
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        async pull(controller) {
          if (sent++ > 0) await shown.promise;
          controller.enqueue(half);
          if (sent === 2) controller.close();
        },
      });
      return new Response(body, { headers: { "content-length": "2000000" } });
    });
    let count = 0;
    let sent = 0;
    const folder = await Deno.makeTempDir({ prefix: "hull-terminal-" });
    const url = `http://127.0.0.1:${slow.addr.port}`;
    const bar = /\rDownloading the export █{12}░{12} 50 % of 2\.0 MB/;
    const args = ["export", `${folder}/a.zip`, "--url", url, "--admin-key", "k"];
    const shows = onTerminal(args, { onText: (text) => bar.test(text) && shown.resolve() });
    const text = await within(shows, 60_000, "the end of the export");
    assert.match(text, bar);
    assert.match(text, /\rESC\[KWrote .*a\.zip: 2\.0 MB/);
    await slow.shutdown();
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "dev shows its app's pushes and logs in one window, in colours",
  ignore: !hasScript,
  async fn() {
    const app = await makeApp({
      files: {
        "convex/a.ts":
          `import { query } from "./_generated/server"; export const one = query(() => 1);`,
      },
    });
    const args = ["dev", "--once", "--app", app, "--port", "0", "--data", `${app}/data`];
    const text = await onTerminal(args);
    assert.match(text, /hull ready on http/);
    assert.match(text, /Admin key: ESC\[1mhull\|/);
    assert.match(text, /ESC\[32m✔ESC\[0m Functions ready/);
    assert.match(text, /ESC\[32m\+ESC\[0m a:one \(query\)/);
    await Deno.remove(app, { recursive: true });
  },
});
