/**
 * Runs the blocks of a page in their order, as a reader would: files are written into the page's app, the app is pushed,
 * commands run in the app's folder. `hull` and `npx convex` are the real programs; a server that a page starts
 * runs in the background. Pages say `127.0.0.1:3210`, whichever port it is.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { writeAppFile } from "../support/apps.ts";
import { programCommand } from "../support/program.ts";
import { root } from "../support/source_files.ts";
import { within } from "../support/waiting.ts";
import { type Block, exchangesOf, isOutput } from "./markdown.ts";

const writtenPort = "3210";
const commandsTimeoutMs = 60_000;

interface Deployment {
  readonly url: string;
  readonly adminKey: string;
}

interface CommandOutput {
  readonly code: number;
  readonly output: string;
}

export class PageSession implements AsyncDisposable {
  /** Folder of the page's app. */
  readonly folder: string;
  readonly #tools: string;
  readonly #port: string;
  /** Absent while a page that starts a server of its own has not done so. */
  #deployment: Deployment | undefined;
  #isPushed = true;

  private constructor(folder: string, tools: string, deployment: Deployment | undefined) {
    this.folder = folder;
    this.#tools = tools;
    this.#deployment = deployment;
    this.#port = deployment === undefined ? freePort() : new URL(deployment.url).port;
  }

  /** In a folder below `parent`; without a deployment the page starts a server of its own. */
  static async start(
    parent: string,
    page: string,
    deployment: Deployment | undefined,
  ): Promise<PageSession> {
    const name = page.replace(/\.md$/, "").replaceAll("/", "-");
    const folder = `${parent}/${name}`;
    const tools = `${parent}/.tools-${name}`;
    const session = new PageSession(folder, tools, deployment);
    for (const [tool, script] of Object.entries(scripts)) {
      await writeAppFile(tools, tool, script);
      await Deno.chmod(`${tools}/${tool}`, 0o755);
    }
    await Deno.mkdir(folder);
    return session;
  }

  async run(block: Block): Promise<void> {
    const { language, path, text } = block;
    if (language === "json") JSON.parse(text);
    if (path !== "") {
      await writeAppFile(this.folder, path, `${this.#withRealPort(text)}\n`);
      if (/(^|\/)convex(\/|\.json$)/.test(path)) this.#isPushed = false;
    } else if (language === "sh") {
      await this.push();
      const { code, output } = await this.#execute(`set -e\n${text}`);
      assert.equal(code, 0, `${placeOf(block)} failed:\n${output}`);
    } else if (language === "console") {
      await this.push();
      for (const { command, output } of exchangesOf(block)) {
        const printed = await this.#execute(command);
        if (isOutput(output, printed.output)) continue;
        assert.equal(printed.output.trimEnd(), output, `${placeOf(block)}: $ ${command}`);
      }
    }
  }

  /** Pushes what the page has written since the last time. */
  async push(): Promise<void> {
    if (this.#isPushed || this.#deployment === undefined) return;
    let result: CommandOutput;
    // A page's own `hull dev` may push the same files at the same time.
    do result = await this.#execute("hull deploy"); while (
      result.output.includes("Another push has finished since this one started")
    );
    assert.equal(
      result.code,
      0,
      `the app of ${this.folder} could not be pushed:\n${result.output}`,
    );
    this.#isPushed = true;
  }

  /** Variables and folders that commands leave behind are there for the next ones. */
  async #execute(script: string): Promise<CommandOutput> {
    const state = `${this.#tools}/state`;
    const command = new Deno.Command("bash", {
      args: [
        "-c",
        `set -a\n[ -e ${state} ] && . ${state}\ntrap 'export -p > ${state}; echo "cd $PWD" >> ${state}' EXIT\n` +
        `exec 2>&1\n${this.#withRealPort(script)}`,
      ],
      cwd: this.folder,
      env: {
        PATH: `${this.#tools}:${Deno.env.get("PATH")}`,
        NO_COLOR: "1",
        CI: "1",
        CURL_HOME: this.#tools,
        HULL_DOCS_PORT: this.#port,
        HULL_DOCS_TOOLS: this.#tools,
        HULL_DOCS_ROOT: root,
        ...this.#deployment && {
          CONVEX_SELF_HOSTED_URL: this.#deployment.url,
          CONVEX_SELF_HOSTED_ADMIN_KEY: this.#deployment.adminKey,
        },
      },
      stdin: "null",
      stderr: "null",
    });
    const { code, stdout } = await within(command.output(), commandsTimeoutMs, script);
    await this.#findOwnServer();
    const output = new TextDecoder().decode(stdout).replaceAll(this.#port, writtenPort);
    return { code, output };
  }

  /** After `hull dev` or `hull serve`, of which the last one counts. */
  async #findOwnServer(): Promise<void> {
    const key = await Deno.readTextFile(`${this.#tools}/admin_key`).catch(() => undefined);
    if (key === undefined) return;
    this.#deployment = { url: `http://127.0.0.1:${this.#port}`, adminKey: key.trim() };
  }

  #withRealPort(text: string): string {
    return text.replaceAll(writtenPort, this.#port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { code, output } = await this.#execute("hull-docs-stop");
    assert.equal(code, 0, output);
  }
}

const placeOf = ({ page, line }: Block) => `${page}:${line}`;

function freePort(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return String((listener.addr as Deno.NetAddr).port);
}

const noOtherHost = fileURLToPath(new URL("../support/no_other_host.mjs", import.meta.url));

const program = programCommand([]).map((word) => `'${word}'`).join(" ");

/** Programs that pages call, by name. */
const scripts: Readonly<Record<string, string>> = {
  hull: `#!/bin/bash
case "$1" in
  dev | serve)
    case " $* " in *" --once "*|*" --help "*) ;; *)
      case " $* " in *" --port "*) ;; *) set -- "$@" --port "$HULL_DOCS_PORT" ;; esac
      log="$HULL_DOCS_TOOLS/log"
      ${program} "$@" > "$log" 2>&1 < /dev/null &
      pid=$!
      echo $pid >> "$HULL_DOCS_TOOLS/servers"
      [ "$1" = dev ] && ready='Functions ready|✖' || ready='hull ready'
      until grep -qE "$ready" "$log"; do
        kill -0 $pid 2> /dev/null || break
        sleep 0.05
      done
      cat "$log"
      data=.hull
      previous=
      for word; do [ "$previous" = --data ] && data="$word"; previous="$word"; done
      cp "$data/admin_key" "$HULL_DOCS_TOOLS/admin_key"
      exit
    esac ;;
esac
exec ${program} "$@"
`,
  npx: `#!/bin/bash
case "$*" in
  "-y deno@"*" task dev")
    mkdir -p "$HULL_DOCS_TOOLS/chat"
    cp -R "$HULL_DOCS_ROOT/examples/chat/." "$HULL_DOCS_TOOLS/chat"
    exec hull dev --app "$HULL_DOCS_TOOLS/chat" ;;
  "-y deno@"*" task hull "*)
    shift 4
    exec hull "$@" ;;
  "convex "*) shift ;;
  *)
    echo "pages run npx convex and this repository's tasks, not: npx $*"
    exit 64 ;;
esac
exec node --import "file://${noOtherHost}" "$HULL_DOCS_ROOT/node_modules/convex/bin/main.js" "$@"
`,
  // On a terminal it shows no progress beside what it prints.
  ".curlrc": "silent\nshow-error\n",
  "hull-docs-stop": `#!/bin/bash
[ -e "$HULL_DOCS_TOOLS/servers" ] || exit 0
for pid in $(cat "$HULL_DOCS_TOOLS/servers"); do
  kill "$pid" 2> /dev/null || continue
  until ! kill -0 "$pid" 2> /dev/null; do sleep 0.05; done
done
`,
};
