/** `hull serve`: the server alone, for production. */
import { log } from "../src/logger.ts";
import type { ServeOptions } from "./options.ts";
import { programName } from "./program_name.ts";
import { withServer } from "./start_server.ts";

export async function serve(options: ServeOptions): Promise<number> {
  return await withServer(options, { redact: true }, (_server, { isFirstStart }) => {
    if (isFirstStart) {
      // Logs of a production server are no place for the key itself.
      const hint = `\`${programName()} admin-key --data ${options.data}\` prints its admin key.`;
      if (options.logFormat === "json") log("info", hint);
      else console.error(hint);
    }
    return new Promise(() => {});
  });
}
