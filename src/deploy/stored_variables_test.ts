import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { zeroTimestamp } from "../database/timestamp.ts";
import { recordKeys } from "./deployment.ts";
import { StoredVariables } from "./stored_variables.ts";

const secret = "hull encrypts variables with this";
const variables = { API_KEY: "squirrel", EMPTY: "", LINES: "a\nb" };

/** The records of one database, opened with different secrets. */
class Records {
  readonly json = new Map<string, string>();
  commits = 0;

  open(secrets: [string, ...string[]], discardsLost = false): StoredVariables {
    return new StoredVariables({
      secrets,
      discardsLost,
      environment: { randomBytes: (length) => randomBytes(length) },
      committer: {
        changeCatalog: async ({ records }) => {
          this.commits++;
          for (const { key, json } of records ?? []) {
            if (json === null) this.json.delete(key);
            else this.json.set(key, json);
          }
          return { timestamp: zeroTimestamp, catalog: {} as never };
        },
      },
    });
  }

  async keep(stored: StoredVariables): Promise<void> {
    for (const { key, json } of await stored.records(variables)) {
      if (json !== null) this.json.set(key, json);
    }
  }

  getRecord = (key: string) => this.json.get(key);
}

Deno.test("StoredVariables load() gives what was kept, and nobody reads it in the record", async () => {
  const records = new Records();
  assert.deepEqual(await records.open([secret]).load(records), {});
  await records.keep(records.open([secret]));
  const text = [...records.json.values()].join();
  assert.doesNotMatch(text, /squirrel|API_KEY/);
  assert.deepEqual(await records.open([secret]).load(records), variables);
  await records.keep(records.open([secret]));
  assert.notEqual([...records.json.values()].join(), text);
  assert.equal(records.commits, 0);
});

Deno.test("StoredVariables load() encrypts what an earlier version left as plain text", async () => {
  const records = new Records();
  records.json.set(recordKeys.environmentVariables, JSON.stringify(variables));
  assert.deepEqual(await records.open([secret]).load(records), variables);
  assert.deepEqual([...records.json.keys()], [recordKeys.encryptedVariables]);
  assert.deepEqual(await records.open([secret]).load(records), variables);
});

Deno.test("StoredVariables load() encrypts anew what an older secret opens", async () => {
  const records = new Records();
  await records.keep(records.open([secret]));
  assert.deepEqual(await records.open(["another", secret]).load(records), variables);
  assert.deepEqual(await records.open(["another"]).load(records), variables);
});

Deno.test("StoredVariables load() refuses what no secret opens, or was changed, unless that is to be discarded", async () => {
  const records = new Records();
  await records.keep(records.open([secret]));
  await assert.rejects(records.open(["another"]).load(records), /HULL_ENCRYPTION_KEY/);
  const kept = records.getRecord(recordKeys.encryptedVariables)!;
  const { iv, ciphertext } = JSON.parse(kept);
  const bytes = Uint8Array.fromBase64(ciphertext);
  bytes[0]! ^= 1;
  const changed = JSON.stringify({ iv, ciphertext: bytes.toBase64() });
  records.json.set(recordKeys.encryptedVariables, changed);
  await assert.rejects(records.open([secret]).load(records), /HULL_ENCRYPTION_KEY/);
  records.json.set(recordKeys.encryptedVariables, kept);
  assert.deepEqual(await records.open([secret], true).load(records), variables);
  assert.deepEqual(await records.open(["another"], true).load(records), {});
  assert.deepEqual(await records.open(["another"]).load(records), {});
});
