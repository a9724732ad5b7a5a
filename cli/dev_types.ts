/** Checks types beside the pushes of `hull dev`: a wrong type is said and keeps nobody from trying the code. */
import type { AppFolder } from "../src/deploy/app_folder.ts";
import type { TypecheckMode } from "./options.ts";
import { styler } from "./terminal.ts";
import { findTypeErrors, mustHaveRightTypes, TypeCheckUnavailable } from "./type_check.ts";

export class DevTypes implements Disposable {
  readonly #print: (text: string) => void;
  #mode: TypecheckMode;
  /** Of the check that runs; the next one ends it. */
  #abortion = new AbortController();
  /** What was said last. */
  #errors = "";

  constructor(mode: TypecheckMode, print: (text: string) => void) {
    this.#mode = mode;
    this.#print = print;
  }

  /** Resolves when the app's types are checked, or another check has begun. */
  async check(app: AppFolder): Promise<void> {
    this.#abortion.abort();
    if (this.#mode === "disable") return;
    const { signal } = this.#abortion = new AbortController();
    try {
      const errors = await findTypeErrors(app, signal);
      if (!signal.aborted) this.#report(errors);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof TypeCheckUnavailable)) throw error;
      this.#print(error.message);
      // Once is enough; who installs it starts again.
      this.#mode = "disable";
    }
  }

  /** For the only push there is. @throws AppError when types are wrong. */
  async mustBeRight(app: AppFolder): Promise<void> {
    await mustHaveRightTypes(app, this.#mode);
  }

  [Symbol.dispose](): void {
    this.#abortion.abort();
  }

  #report(errors: string): void {
    if (errors === this.#errors) return;
    const style = styler(Deno.stderr);
    if (errors === "") this.#print(`${style("green", "✔")} Types are right again`);
    else {this.#print(
        `${style("yellow", "⚠")} Types are wrong; the code runs all the same\n${errors}`,
      );}
    this.#errors = errors;
  }
}
