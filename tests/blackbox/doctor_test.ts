/** `hull doctor` names what is wrong, and what to do about it. */
import assert from "node:assert/strict";
import { makeApp, writeAppFile } from "../support/apps.ts";
import { runCommand, ServerProcess } from "../support/server_process.ts";

interface Finding {
  readonly level: string;
  readonly subject: string;
  readonly message: string;
  readonly remedy?: string;
}

/** What it finds that is not right, as lines. */
async function complaints(
  cwd: string,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const result = await runCommand(["doctor", "--json", ...args], { cwd, environment });
  const findings = JSON.parse(result.stdout) as Finding[];
  assert.equal(result.code, findings.some(({ level }) => level === "problem") ? 1 : 0);
  // Of the machine that runs the tests.
  const isMachine = ({ subject }: Finding) => /^(Disk|Open files)$/.test(subject);
  return findings.filter((finding) => finding.level !== "ok" && !isMachine(finding))
    .map(({ subject, message, remedy }) => `${subject}: ${message} ${remedy ?? ""}`);
}

async function expectOne(found: Promise<readonly string[]>, pattern: RegExp): Promise<void> {
  const lines = await found;
  assert.equal(lines.length, 1, lines.join("\n"));
  assert.match(lines[0]!, pattern);
}

Deno.test("doctor without a server: ports, settings and the data folder", async () => {
  const folder = await makeApp({});
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const free = ["--port", "0"];
  assert.deepEqual(await complaints(folder, free), []);
  const port = String(listener.addr.port);
  const accepted = listener.accept().then((connection) => connection.close());
  await expectOne(
    complaints(folder, ["--port", port]),
    new RegExp(`Port: ${port} is taken by another program .*choose another port with --port`),
  );
  await accepted;
  listener.close();
  await expectOne(
    complaints(folder, free, { HULL_PROT: "1" }),
    /HULL_PROT means nothing to Hull Did you mean HULL_PORT\?/,
  );
  await expectOne(
    complaints(folder, free, { HULL_LOG_MIB: "none" }),
    /Settings: HULL_LOG_MIB is "none"; set it to a number/,
  );
  await Deno.writeTextFile(`${folder}/file`, "");
  await expectOne(complaints(folder, [...free, "--data", "file"]), /file is no folder/);
  await writeAppFile(folder, "convex.json", "{");
  await expectOne(complaints(folder, free), /App: .*convex\.json is not valid JSON/);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("doctor with a server: reachability, admin key, the app and who signs users in", async () => {
  const folder = await makeApp({ files: { "convex/a.ts": "export {};\n" } });
  const data = `${folder}/.hull`;
  await using server = await ServerProcess.start({ dataFolder: data });
  assert.deepEqual(await complaints(folder), []);
  const told = await runCommand(["doctor"], { cwd: folder });
  assert.match(told.stdout, /✔ Server: http.* answers, version/);
  assert.match(told.stdout, /✔ Push: the server would take the app/);
  assert.match(told.stdout, /Everything is as it should be\.\n$/);

  const remote = ["--url", server.url, "--admin-key", "hull|wrong"];
  await expectOne(complaints(folder, remote), /Admin key: .*Check --admin-key/s);
  const nowhere = ["--url", "http://127.0.0.1:9", "--admin-key", "k"];
  await expectOne(complaints(folder, nowhere), /No server answers at http:\/\/127\.0\.0\.1:9/);

  await writeAppFile(
    folder,
    "convex/auth.config.ts",
    `export default { providers: [{ domain: "http://127.0.0.1:9", applicationID: "a" }] };`,
  );
  await expectOne(
    complaints(folder),
    /Sign-in: http:\/\/127\.0\.0\.1:9 cannot be used from this machine: .*convex\/auth\.config\.ts/,
  );
  await Deno.remove(`${folder}/convex/auth.config.ts`);
  await writeAppFile(folder, "convex/a.ts", "export const a = ;");
  await expectOne(complaints(folder), /Push: .*convex\/a\.ts:1:17/s);
  await writeAppFile(folder, "convex/a.ts", "export {};\n");
  await server.kill();
  await expectOne(
    complaints(folder, ["--data", data]).then((lines) =>
      lines.filter((line) => line.startsWith("Data folder"))
    ),
    /its last server did not stop in good order/,
  );
  await Deno.remove(folder, { recursive: true });
});
