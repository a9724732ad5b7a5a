/** A program that starts isolates and prints the process id of their executor, to be killed by a test. */
import { defaultConfig } from "../../src/config.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { startIsolates } from "../../src/isolate/start_isolates.ts";

const [dataFolder, isolateModule] = Deno.args as [string, string];
const isolates = await startIsolates({
  config: defaultConfig,
  environment: systemEnvironment,
  databasePath: `${dataFolder}/data.db`,
  dataFolder,
  isolateModule,
});
console.log(isolates.processes()[0]!.pid);
