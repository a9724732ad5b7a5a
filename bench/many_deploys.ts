/**
 * One server takes many pushes in a row, each with other code, another index and another cron job, and calls every kind of
 * function in between: neither memory nor disk may grow with their number.
 */
import { ConvexHttpClient } from "convex/browser";
import { api } from "../tests/support/api.ts";
import { childrenOf, ServerProcess } from "../tests/support/server_process.ts";
import { VersionedPushes } from "../tests/support/versioned_pushes.ts";
import { memoryMiB, ownMemoryMiB } from "./processes.ts";
import { sleep } from "./statistics.ts";

/** Rows of the table. */
const rows = 10;
/** After the last deploy: for what is collected later. */
const settleMs = 15_000;

/** Prints memory, processes and disk now and then. */
export async function measureManyDeploys(count: number): Promise<void> {
  await using server = await ServerProcess.start();
  await using pushes = await VersionedPushes.open();
  console.log("| deploys | memory | server | its processes | module files | database and log |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  for (let n = 1; n <= count; n++) {
    await pushes.push(server, `v${n}`);
    await callEverything(server, `v${n}`);
    if (n === 1 || n % Math.max(1, Math.floor(count / rows)) === 0) await report(server, n);
  }
  await sleep(settleMs);
  await report(server, count);
}

async function callEverything({ url }: ServerProcess, version: string): Promise<void> {
  const client = new ConvexHttpClient(url, { logger: false });
  const answers = await Promise.all([
    client.query(api.version.current, { slot: 1 }).then((answer) => answer.version),
    client.mutation(api.version.write, { slot: 1, text: version }),
    client.action(api.version.through, { slot: 1 }).then((answer) => answer.version),
    client.action(api.heavy.nodeVersion, {}),
    fetch(`${url}/deployed`).then((response) => response.text()),
  ]);
  for (const answer of answers) {
    if (answer !== version) throw new Error(`${answer} answered after the push of ${version}`);
  }
}

async function report({ pid, dataFolder }: ServerProcess, deploys: number): Promise<void> {
  const files = (await Array.fromAsync(Deno.readDir(`${dataFolder}/modules`))).length;
  const sizes = ["hull.sqlite3", "hull.sqlite3-wal"]
    .map(async (name) => (await Deno.stat(`${dataFolder}/${name}`)).size);
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  const children = childrenOf(pid).map((child) => ownMemoryMiB(child).toFixed(0));
  console.log(
    `| ${deploys} | ${memoryMiB(pid).toFixed(0)} MiB | ${ownMemoryMiB(pid).toFixed(0)} MiB | ` +
      `${children.join(" + ")} MiB | ${files} | ${(bytes / 1024).toFixed(0)} KiB |`,
  );
}
