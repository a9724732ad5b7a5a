/** Calls of every kind and live subscriptions while a server takes pushes: nobody must notice. */
import { ServerProcess, sideBySide } from "../tests/support/server_process.ts";
import { type CallRecord, DeployLoad } from "../tests/support/deploy_load.ts";
import { VersionedPushes } from "../tests/support/versioned_pushes.ts";
import { Latencies, sleep } from "./statistics.ts";

export interface DeploysUnderLoad {
  readonly deploys: number;
  readonly callsPerSecond: number;
  readonly subscriptions: number;
}

/** Calls that begin so long before or after the answer to a push count as around it. */
const aroundMs = 500;
const pauseMs = 3000;

/** Prints how long calls took, those that began around a switch apart, and what failed. */
export async function measureDeploysUnderLoad(plan: DeploysUnderLoad): Promise<void> {
  const { deploys, subscriptions, callsPerSecond } = plan;
  await using server = await ServerProcess.start({ environment: sideBySide });
  await using pushes = await VersionedPushes.open();
  await pushes.push(server, "v0");
  const load = new DeployLoad({
    url: server.url,
    callsPerSecond,
    outstandingMax: Infinity,
    subscriptions,
    subscriptionsPerSocket: 50,
    withNode: true,
  }, "v0");
  await load.start();
  await sleep(pauseMs);
  const beginMs = performance.now();
  await sleep(pauseMs);
  const pushing = new Latencies();
  const following = new Latencies();
  const switchesMs: number[] = [];
  for (let n = 1; n <= deploys; n++) {
    const startMs = performance.now();
    await load.during(`v${n}`, () => pushes.push(server, `v${n}`));
    const switchMs = performance.now();
    switchesMs.push(switchMs);
    pushing.add(switchMs - startMs);
    await load.everybodySees(`v${n}`);
    following.add(performance.now() - switchMs);
    await sleep(pauseMs);
  }
  await load.stop();
  const calls = load.calls.filter(({ startedAtMs }) => startedAtMs >= beginMs);
  const isAround = ({ startedAtMs }: CallRecord) =>
    switchesMs.some((time) => Math.abs(startedAtMs - time) < aroundMs);

  console.log(
    `\n${calls.length} calls (${callsPerSecond}/s), ${subscriptions} subscriptions, ` +
      `${deploys} deploys: ${load.failures.length} failures\n`,
  );
  for (const failure of load.failures.slice(0, 10)) console.log(failure);
  console.log(`a push takes ${pushing.quantile(0.5).toFixed(0)} ms (p50)`);
  console.log(
    `every subscriber has moved ${following.quantile(0.5).toFixed(0)} ms after it (p50)\n`,
  );
  console.log("| calls | near a switch | p50 | p99 | longest | otherwise | p50 | p99 | longest |");
  console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
  for (const kind of [...new Set(calls.map((call) => call.kind)), "all"]) {
    const ofKind = calls.filter((call) => kind === "all" || call.kind === kind);
    const groups = [ofKind.filter(isAround), ofKind.filter((call) => !isAround(call))];
    console.log(`| ${kind} | ${groups.flatMap(cells).join(" | ")} |`);
  }
}

function cells(calls: readonly CallRecord[]): string[] {
  const latencies = new Latencies();
  for (const { durationMs } of calls) latencies.add(durationMs);
  const quantiles = [0.5, 0.99, 1].map((part) => `${latencies.quantile(part).toFixed(1)} ms`);
  return [String(calls.length), ...quantiles];
}
