/** A server that is killed again and again while files are uploaded, stored by actions and deleted. */
import assert from "node:assert/strict";
import { createHash, randomBytes, randomInt } from "node:crypto";
import { api } from "../support/api.ts";
import { RestartingServer } from "../support/restarting_server.ts";
import { eventually } from "../support/waiting.ts";

const rounds = 5;
const uploaders = 8;
const bytesMax = 300_000;

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("base64");

interface Listed {
  readonly _id: string;
  readonly sha256: string;
  readonly size: number;
  readonly url: string;
}

Deno.test("I11, semantics §19: killed at any moment, the server has every acknowledged file and no document without its bytes", async () => {
  await using server = await RestartingServer.start("tests/fixtures/uploads");
  const http = server.clients.http();
  /** Digests of acknowledged files by id. */
  const stored = new Map<string, string>();
  const deleting = new Set<string>();

  for (let round = 0; round < rounds; round++) {
    const url: string = await http.mutation(api.files.uploadUrl, {});
    let isKilled = false;
    const work = async (worker: number) => {
      while (!isKilled) {
        const bytes = randomBytes(randomInt(bytesMax));
        const id: string = worker % 4 === 0
          ? await http.action(api.files.store, { bytes: Uint8Array.from(bytes).buffer })
          : (await (await fetch(url, { method: "POST", body: bytes })).json()).storageId;
        stored.set(id, digestOf(bytes));
        if (worker % 2 === 1) continue;
        deleting.add(id);
        await http.mutation(api.files.remove, { id });
        stored.delete(id);
      }
    };
    const workers = Array.from({ length: uploaders }, (_, worker) => work(worker).catch(() => {}));
    await new Promise((resolve) => setTimeout(resolve, randomInt(100, 400)));
    await server.kill();
    isKilled = true;
    await Promise.all(workers);
    await server.startAgain();

    const listed: readonly Listed[] = await http.query(api.files.list, {});
    for (const { sha256, size, url } of listed) {
      const response = await fetch(url);
      const bytes = await response.bytes();
      assert.deepEqual([response.status, bytes.length, digestOf(bytes)], [200, size, sha256]);
    }
    const digests = new Map(listed.map(({ _id, sha256 }) => [_id, sha256]));
    for (const [id, digest] of stored) {
      if (!deleting.has(id)) assert.equal(digests.get(id), digest, `${id} was acknowledged`);
    }
    const names = new Set(listed.map(({ url }) => url.split("/").at(-1)));
    await eventually(async () => {
      const onDisk = [...Deno.readDirSync(`${server.current.dataFolder}/files`)];
      const incoming = [...Deno.readDirSync(`${server.current.dataFolder}/files/incoming`)];
      const files = onDisk.filter(({ isFile }) => isFile).map(({ name }) => name);
      const isTidy = incoming.length === 0 && files.every((name) => names.has(name));
      return isTidy || undefined;
    }, "the removal of what no document belongs to");
  }
  assert.ok(stored.size > rounds, `${stored.size} files were stored`);
});
