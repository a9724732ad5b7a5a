/** What `hull doctor` finds. */
export interface Finding {
  /** `problem`: something does not work, or will not. `warning`: it may not be as it should. */
  readonly level: "ok" | "warning" | "problem";
  /** What was looked at. */
  readonly subject: string;
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export type Findings = AsyncGenerator<Finding>;

export function ok(subject: string, message: string): Finding {
  return { level: "ok", subject, message };
}

export function warning(subject: string, message: string, remedy: string): Finding {
  return { level: "warning", subject, message, remedy };
}

export function problem(subject: string, message: string, remedy?: string): Finding {
  return { level: "problem", subject, message, ...remedy !== undefined && { remedy } };
}
