/** An executor process that is not the whole program: all it loads is what it runs. */
import { runExecutor } from "./executor.ts";

await runExecutor(Deno.args);
