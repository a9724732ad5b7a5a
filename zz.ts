import { measureVectorSearch } from "./bench/vector_search.ts";
import { renderTable } from "./bench/report.ts";
const f=await Deno.makeTempDir();
console.log(renderTable(await measureVectorSearch(f, +Deno.args[0])));
await Deno.remove(f,{recursive:true});
