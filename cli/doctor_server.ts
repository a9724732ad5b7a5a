/** Whether the server that commands would talk to is there, lets them in, and tells the same time. */
import { ApiClient, ApiError } from "./api_client.ts";
import { findServer } from "./connection.ts";
import type { DoctorOptions } from "./doctor.ts";
import { UsageError } from "./failure.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";
import { version } from "./version.ts";

const subject = "Server";
/** What tokens of users may be off, as the server judges them, in milliseconds. */
const clockDifferenceMaxMs = 5000;
const answerMsMax = 10_000;

/** `client`: for the server, if it answers and takes the admin key. */
export async function examineServer(
  options: DoctorOptions,
): Promise<{ client?: ApiClient; findings: readonly Finding[] }> {
  let address;
  try {
    address = await findServer(options, options.isDataGiven);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    if (options.url !== undefined) return { findings: [problem(subject, error.message)] };
    return { findings: [await examinePort(options)] };
  }
  const findings: Finding[] = [];
  const { url, adminKey } = address;
  try {
    const client = new ApiClient(url, adminKey);
    findings.push(...await examineAnswers(client.origin));
    await client.get("/api/check_admin_key");
    findings.push(ok("Admin key", "the server takes it"));
    return { client, findings };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    findings.push(problem(error.status === 0 ? subject : "Admin key", error.message));
    return { findings };
  }
}

async function examineAnswers(origin: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  const answer = await ask(`${origin}/version`);
  const remote = answer?.text ?? "";
  if (answer === undefined) {
    const remedy = "Start it with `hull dev` or `hull serve`, or name another one with --url.";
    throw new ApiError(0, "", `No server answers at ${origin}. ${remedy}`);
  }
  if (!answer.isOk || !/^\d+\.\d+\.\d+/.test(remote)) {
    return [
      problem(
        subject,
        `what answers at ${origin} is no Hull server`,
        "Correct --url, or stop that program.",
      ),
    ];
  }
  findings.push(
    remote === version ? ok(subject, `${origin} answers, version ${remote}`) : warning(
      subject,
      `${origin} runs version ${remote}, this is ${version}`,
      "Use the same on both sides, so that commands and server agree.",
    ),
  );
  const ready = await ask(`${origin}/readyz`);
  if (ready !== undefined && !ready.isOk) {
    findings.push(problem(subject, `it is not ready: ${ready.text.trim()}`));
  }
  findings.push(...clockFindings(answer.differenceMs));
  return findings;
}

function clockFindings(differenceMs: number | null): Finding[] {
  if (differenceMs === null) return [];
  // The header has whole seconds.
  const seconds = Math.round(differenceMs / 1000);
  if (Math.abs(differenceMs) <= clockDifferenceMaxMs) {
    return [ok("Clock", "the server's agrees with this machine's")];
  }
  const direction = seconds > 0 ? "ahead of" : "behind";
  return [warning(
    "Clock",
    `the server's is ${Math.abs(seconds)} s ${direction} this machine's`,
    "Synchronize both (NTP): a wrong clock refuses users' tokens and runs jobs at wrong times.",
  )];
}

interface Answer {
  readonly isOk: boolean;
  readonly text: string;
  /** The server's clock minus ours; null if it does not tell. */
  readonly differenceMs: number | null;
}

async function ask(url: string): Promise<Answer | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerMsMax) });
    const serverMs = Date.parse(response.headers.get("date") ?? "");
    const differenceMs = Number.isNaN(serverMs) ? null : serverMs - Date.now();
    return { isOk: response.ok, text: await response.text(), differenceMs };
  } catch {
    return undefined; // Whatever the reason: nobody answers.
  }
}

/** Without a server: whether one could listen. */
async function examinePort({ host, port }: DoctorOptions): Promise<Finding> {
  try {
    Deno.listen({ hostname: host, port }).close();
    return ok("Port", `${port} is free; no server of this folder runs`);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) {
      return problem("Port", `Hull cannot listen on ${host}:${port}: ${(error as Error).message}`);
    }
    const origin = `http://${host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`;
    const answer = await ask(`${origin}/instance_name`);
    const owner = answer?.isOk
      ? "another Hull server, one of another data folder,"
      : "another program";
    return problem(
      "Port",
      `${port} is taken by ${owner} and no server of this folder runs`,
      "Stop that, or choose another port with --port, HULL_PORT or hull.json (0 takes a free one).",
    );
  }
}
