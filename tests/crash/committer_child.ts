/**
 * Writes through a committer until it is killed. Numbers its requests from the first argument on, 32 at a
 * time, and prints each number when it is durable. A number that a predecessor sent already is sent again as
 * the same client request.
 */
import { startCommitter } from "../../src/committer/client.ts";
import { byIdIndexId, firstUserTableNumber as table } from "../../src/database/catalog.ts";
import { encodeKeyValue, pointInterval } from "../../src/values/index_key.ts";
import { documentWrite } from "../support/document_writes.ts";

const [folder, from] = Deno.args as [string, string];
const committer = await startCommitter(folder);
const { catalog } = await committer.changeCatalog({ createTables: ["items"] });
let next = Number(from);

async function write(): Promise<never> {
  for (;;) {
    const number = next++;
    const after = { _id: `item${number}`, _creationTime: number, text: "x".repeat(number % 5000) };
    const outcome = await committer.commit({
      snapshot: committer.appliedTimestamp,
      structureVersion: catalog.structureVersion,
      reads: [[byIdIndexId(table), [pointInterval(encodeKeyValue(after._id))]]],
      writes: { documents: [documentWrite(catalog, table, { after })], tables: [] },
      dependsOn: [],
      session: { sessionId: "client", requestId: number, result: `${number}`, logLines: "[]" },
    });
    if (outcome.kind === "conflict") throw new Error("inserts do not conflict");
    await committer.durable(
      outcome.kind === "committed" ? outcome.timestamp : outcome.record.timestamp,
    );
    Deno.stdout.writeSync(new TextEncoder().encode(`${number}\n`));
  }
}

await Promise.all(Array.from({ length: 32 }, write));
