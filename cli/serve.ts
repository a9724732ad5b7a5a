/** `hull serve`: the server alone, for production. */
import type { ServeOptions } from "./commands.ts";
import { withServer } from "./start_server.ts";

export async function serve(options: ServeOptions): Promise<number> {
  return await withServer(options, { redact: true }, () => new Promise(() => {}));
}
