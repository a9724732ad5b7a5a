import assert from "node:assert/strict";
import { NodeInstallations, NodeUnavailable } from "./node_installations.ts";
import { permissionFlags } from "./node_permissions.ts";

/** Programs that print a version and know nothing else, in folders of a machine made up for the test. */
async function withMachine(
  programs: Readonly<Record<string, string>>,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const names = ["PATH", "HOME", "NVM_DIR", "XDG_DATA_HOME", "N_PREFIX"];
  const before = names.map((name) => [name, Deno.env.get(name)] as const);
  for (const [path, version] of Object.entries(programs)) {
    const file = `${folder}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, `#!/bin/sh\necho ${version}\n`, { mode: 0o755 });
  }
  names.forEach((name) => Deno.env.delete(name));
  Deno.env.set("PATH", `${folder}/none:${folder}/first:${folder}/second`);
  Deno.env.set("HOME", `${folder}/home`);
  Deno.env.set("N_PREFIX", `${folder}/prefix`);
  try {
    await test(folder);
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("deploy-protocol §11: Node.js is the first on the PATH, or one of the major version asked for", async () => {
  const programs = {
    "first/node": "v18.20.0",
    "second/node": "v20.1.0",
    "home/.nvm/versions/node/v22.9.0/bin/node": "v22.9.0",
    "home/.nvm/versions/node/v22.10.1/bin/node": "v22.10.1",
    "home/.nvm/versions/node/v220.0.0/bin/node": "v220.0.0",
    "prefix/n/versions/node/24.1.0/bin/node": "v24.1.0",
  };
  await withMachine(programs, async (folder) => {
    const find = async (wanted: string | null) =>
      (await new NodeInstallations().find(wanted)).path.replace(`${folder}/`, "");
    assert.equal(await find(null), "second/node");
    assert.equal(await find("20"), "second/node");
    assert.equal(await find("22"), "home/.nvm/versions/node/v22.10.1/bin/node");
    assert.equal(await find("24"), "prefix/n/versions/node/24.1.0/bin/node");
  });
});

Deno.test("NodeInstallations find() does not hand out a Node.js that was removed meanwhile", async () => {
  const older = "home/.nvm/versions/node/v22.9.0/bin/node";
  const newer = "home/.nvm/versions/node/v22.10.1/bin/node";
  await withMachine({ [older]: "v22.9.0", [newer]: "v22.10.1" }, async (folder) => {
    const installations = new NodeInstallations();
    assert.equal((await installations.find("22")).path, `${folder}/${newer}`);
    await Deno.remove(`${folder}/${newer}`);
    assert.equal((await installations.find("22")).path, `${folder}/${older}`);
  });
});

Deno.test("deploy-protocol §11: without a usable Node.js it is said what there is and what to do", async () => {
  const installations = new NodeInstallations();
  const problem = async (wanted: string | null) => {
    const error = await installations.find(wanted).catch((error) => error);
    assert.ok(error instanceof NodeUnavailable);
    return error.message;
  };
  await withMachine({}, async () => {
    assert.match(
      await problem(null),
      /^needs Node\.js 20 or later, but there is no "node" on the PATH/,
    );
  });
  const old = { "first/node": "v16.0.0", "second/node": "broken" };
  await withMachine(old, async (folder) => {
    assert.match(await problem(null), /the PATH of the server leads to Node\.js 16\./);
    assert.match(
      await problem("22"),
      /^needs Node\.js 22, the version that the app asks for.*Install it/,
    );
    // Looked for again, once it was not found.
    await Deno.writeTextFile(`${folder}/second/node`, "#!/bin/sh\necho v22.0.0\n");
    assert.equal((await installations.find("22")).major, 22);
  });
});

Deno.test("permissionFlags() never names a path twice, nor one inside of another", () => {
  const node = { path: "/usr/bin/node", major: 20 };
  const flags = permissionFlags(node, ["/usr/share/hull/", "/srv/node/", "/srv/node/x.mjs"]);
  const paths = flags.flatMap((flag) => /^--allow-fs-read=(.*)$/.exec(flag)?.[1] ?? []);
  assert.equal(new Set(paths).size, paths.length);
  assert.ok(paths.includes("/usr/") && paths.includes("/srv/node/"));
  for (const path of ["/usr/share/hull/", "/srv/node/x.mjs"]) assert.ok(!paths.includes(path));
  assert.ok(permissionFlags({ ...node, major: 24 }, []).includes("--permission"));
});
