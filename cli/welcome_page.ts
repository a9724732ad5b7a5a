/** What a browser sees of a server in development that has no app yet. */
import { programName } from "./program_name.ts";

const page = (command: string) =>
  `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <!-- The page of the app takes this one's place when there is an app. -->
    <meta http-equiv="refresh" content="2">
    <title>Hull</title>
    <link rel="icon" href="data:,">
    <style>
      body { max-width: 34rem; margin: 15vh auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
      code { padding: 0.1em 0.3em; border-radius: 0.3em; background: color-mix(in srgb, currentColor 10%, transparent); }
    </style>
  </head>
  <body>
    <h1>Hull is running</h1>
    <p>There is no app here yet. In another terminal, in the same folder:</p>
    <p><code>${command}</code></p>
    <p>makes one. This page becomes its page.</p>
  </body>
</html>
`;

/** Answers `/` alone. */
export function welcomePage(request: Request, target: string): Promise<Response | undefined> {
  const isPage = request.method === "GET" && target.replace(/\?.*$/, "") === "/";
  const response = isPage
    ? new Response(page(escape(`${programName()} init`)), {
      headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" },
    })
    : undefined;
  return Promise.resolve(response);
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
