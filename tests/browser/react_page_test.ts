/** A React page with `ConvexReactClient`: useQuery, useMutation, useAction and useConvexConnectionState. */
import assert from "node:assert/strict";
import { build, stop } from "esbuild";
import { fileURLToPath } from "node:url";
import { copyApp } from "../support/apps.ts";
import { ServerProcess } from "../support/server_process.ts";
import { browserTest } from "./chromium.ts";

const page = `
  import React from "react";
  import { createRoot } from "react-dom/client";
  import {
    ConvexProvider, ConvexReactClient, useAction, useConvexConnectionState, useMutation, usePaginatedQuery, useQuery,
  } from "convex/react";
  import { anyApi as api } from "convex/server";

  const client = new ConvexReactClient(SERVER_URL);

  function Counter() {
    const value = useQuery(api.counters.read, { name: "react" });
    const increment = useMutation(api.counters.increment).withOptimisticUpdate((store, args) => {
      const shown = store.getQuery(api.counters.read, args);
      if (shown !== undefined) store.setQuery(api.counters.read, args, shown + 1);
    });
    const sleep = useAction(api.waiting.sleep);
    const [slept, setSlept] = React.useState("");
    const { isWebSocketConnected } = useConvexConnectionState();
    return <>
      <output id="value">{value === undefined ? "loading" : value}</output>
      <output id="connected">{String(isWebSocketConnected)}</output>
      <output id="slept">{slept}</output>
      <button id="increment" onClick={() => increment({ name: "react" })}>+1</button>
      <button id="sleep" onClick={async () => setSlept(await sleep({ ms: 1, label: "awake" }))}>sleep</button>
    </>;
  }

  function Notes() {
    const { results, status, loadMore } = usePaginatedQuery(api.notes.page, {}, { initialNumItems: 2 });
    return <>
      <output id="notes">{results.map(({ n }) => n).join()}</output>
      <output id="status">{status}</output>
      <button id="more" onClick={() => loadMore(2)}>more</button>
    </>;
  }

  class Boundary extends React.Component {
    state = { message: "" };
    static getDerivedStateFromError(error) { return { message: error.message }; }
    render() {
      return this.state.message ? <output id="failed">{this.state.message}</output> : this.props.children;
    }
  }
  function Failing() {
    useQuery(api.errors.throwError, {});
    return null;
  }

  createRoot(document.getElementById("root")).render(
    <ConvexProvider client={client}>
      <Counter /><Notes /><Boundary><Failing /></Boundary>
    </ConvexProvider>,
  );
`;

/** The page's script, bundled as an app's own build would. */
async function bundlePage(serverUrl: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: page,
      loader: "jsx",
      resolveDir: fileURLToPath(new URL("../../", import.meta.url)),
    },
    bundle: true,
    write: false,
    format: "esm",
    jsx: "transform",
    define: {
      SERVER_URL: JSON.stringify(serverUrl),
      "process.env.NODE_ENV": '"production"',
    },
  });
  await stop();
  return outputFiles[0]!.text;
}

browserTest(
  "a React page shows live data, sends, acts, pages and catches errors",
  async (browser) => {
    const app = await copyApp("tests/fixtures/workshop");
    await using server = await ServerProcess.start({ command: "dev", app });
    await server.firstLine(/Functions ready/);
    const script = await bundlePage(server.url);
    // Another origin than the server's: what most React apps have.
    const site = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) =>
        new URL(request.url).pathname === "/page.js"
          ? new Response(script, { headers: { "content-type": "text/javascript" } })
          : new Response('<div id="root"></div><script type="module" src="/page.js"></script>', {
            headers: { "content-type": "text/html" },
          }),
    );

    const tab = await browser.newPage();
    tab.setDefaultTimeout(15_000);
    await tab.goto(`http://127.0.0.1:${site.addr.port}/`);
    const shows = (id: string, text: string) =>
      tab.locator(`#${id}`).filter({ hasText: new RegExp(`^${text}$`) }).waitFor();
    await shows("value", "0");
    await shows("connected", "true");
    for (let n = 0; n < 5; n++) {
      await tab.locator("#increment").click();
    }
    await shows("value", "5");
    await tab.locator("#sleep").click();
    await shows("slept", "awake");
    assert.match(await tab.locator("#failed").innerText(), /plain error/);

    await shows("status", "Exhausted");
    const notes = [1, 2, 3, 4, 5].map((n) => ({ n }));
    await fetch(`${server.url}/api/mutation`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ path: "notes:insertMany", args: { notes } }),
    }).then((response) => response.body?.cancel());
    await tab.reload();
    await shows("notes", "1,2");
    await tab.locator("#more").click();
    await shows("notes", "1,2,3,4");
    await tab.locator("#more").click();
    await shows("notes", "1,2,3,4,5");

    await tab.close();
    await site.shutdown();
    await Deno.remove(app, { recursive: true });
  },
);
