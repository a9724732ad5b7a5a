/** `hull doctor`: looks for what keeps a server or an app from working, and says what to do about it. */
import { examineApp } from "./doctor_app.ts";
import { examineDataFolder } from "./doctor_data_folder.ts";
import { examineMachine } from "./doctor_machine.ts";
import { examineServer } from "./doctor_server.ts";
import type { Finding, Findings } from "./finding.ts";
import type { ServerOptions } from "./options.ts";
import { styler } from "./terminal.ts";

export interface DoctorOptions extends ServerOptions {
  readonly app: string;
  readonly host: string;
  readonly port: number;
  readonly json?: boolean;
  /** Somebody named the data folder. */
  readonly isDataGiven: boolean;
}

/** Resolves with 1 if there is a problem; warnings are none. */
export async function doctor(options: DoctorOptions): Promise<number> {
  const findings: Finding[] = [];
  for await (const finding of examine(options)) {
    findings.push(finding);
    if (!options.json) show(finding);
  }
  const problems = findings.filter(({ level }) => level === "problem").length;
  if (options.json) console.log(JSON.stringify(findings, null, 2));
  else console.log(summary(problems, findings.filter(({ level }) => level === "warning").length));
  return problems === 0 ? 0 : 1;
}

async function* examine(options: DoctorOptions): Findings {
  yield* examineMachine();
  yield* examineDataFolder(options.data);
  const { client, findings } = await examineServer(options);
  yield* findings;
  yield* examineApp(options.app, client);
}

const signs = { ok: ["green", "✔"], warning: ["yellow", "⚠"], problem: ["red", "✖"] } as const;

function show({ level, subject, message, remedy }: Finding): void {
  const style = styler(Deno.stdout);
  const [colour, sign] = signs[level];
  console.log(`${style(colour, sign)} ${style("bold", subject)}: ${message}`);
  if (remedy !== undefined) console.log(`    → ${remedy}`);
}

function summary(problems: number, warnings: number): string {
  const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
  if (problems === 0 && warnings === 0) return "\nEverything is as it should be.";
  return `\n${count(problems, "problem")}, ${count(warnings, "warning")}.`;
}
