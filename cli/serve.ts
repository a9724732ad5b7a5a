/** `hull serve`: the server alone, for production. */
import type { ServeOptions } from "./options.ts";
import { programName } from "./program_name.ts";
import { withServer } from "./start_server.ts";

export async function serve(options: ServeOptions): Promise<number> {
  return await withServer(options, { redact: true }, (_server, { isFirstStart }) => {
    if (isFirstStart) {
      // Logs of a production server are no place for the key itself.
      console.error(`\`${programName()} admin-key --data ${options.data}\` prints its admin key.`);
    }
    return new Promise(() => {});
  });
}
