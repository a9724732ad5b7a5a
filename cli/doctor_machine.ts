/** What of this machine, and of the environment variables, can be in Hull's way. */
import { readConfig, settings } from "../src/config.ts";
import { errorMessage } from "../src/errors.ts";
import { openFilesMax } from "../src/metrics/open_files.ts";
import { nearest } from "./nearest.ts";
import { type Findings, ok, problem, warning } from "./finding.ts";
import { loadHullJson, withSettings } from "./hull_json.ts";
import { version } from "./version.ts";

/** A connection takes one; below this, a few hundred clients are the end. */
const openFilesWanted = 4096;

/** Variables of Hull that are no numbers of src/config.ts. */
const otherVariables = [
  "HULL_ADMIN_KEY",
  "HULL_APP",
  "HULL_CACHE_DIR",
  "HULL_DATA",
  "HULL_ENCRYPTION_KEY",
  "HULL_EXECUTABLE",
  "HULL_HOST",
  "HULL_LOG_FORMAT",
  "HULL_METRICS_TOKEN",
  "HULL_PORT",
  "HULL_SITE_PORT",
  "HULL_TRUSTED_PROXIES",
];

export async function* examineMachine(): Findings {
  const { os, arch } = Deno.build;
  yield ok("Hull", `${version} on ${os} ${arch}, Deno ${Deno.version.deno}`);
  const filesMax = openFilesMax();
  if (filesMax !== undefined && filesMax < openFilesWanted) {
    yield warning(
      "Open files",
      `this shell allows ${filesMax}, and every connection takes one`,
      "Start the server after `ulimit -n 65536`, or with LimitNOFILE=65536 in its systemd unit.",
    );
  } else if (filesMax !== undefined) {
    yield ok("Open files", `up to ${filesMax}`);
  }
  yield* examineSettings();
}

async function* examineSettings(): Findings {
  const variables = Deno.env.toObject();
  const known = [...Object.values(settings).map(({ variable }) => variable), ...otherVariables];
  for (const name of Object.keys(variables)) {
    if (!name.startsWith("HULL_") || known.includes(name)) continue;
    const meant = nearest(name, known);
    const remedy = meant === undefined ? "Remove it." : `Did you mean ${meant}?`;
    yield warning("Settings", `the environment variable ${name} means nothing to Hull`, remedy);
  }
  try {
    readConfig(withSettings(variables, await loadHullJson()));
    yield ok("Settings", "environment variables and hull.json are understood");
  } catch (error) {
    yield problem("Settings", errorMessage(error));
  }
}
