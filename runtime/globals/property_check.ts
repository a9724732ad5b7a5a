/** Whether properties still have their values, asked after every call. */
import { Script } from "node:vm";

export interface Assignable {
  readonly object: Record<PropertyKey, unknown>;
  readonly name: PropertyKey;
  readonly value: unknown;
}

/** Comparisons that one compiled function holds; the engine does not optimize much larger ones. */
const comparisonsMax = 100;

/**
 * A function that says whether every property has its value. It is compiled for these very properties, because
 * a loop over them would look each up in a hash table instead of knowing where it is: ten times the cost.
 */
export function compileCheck(assignable: readonly Assignable[]): () => boolean {
  const parts: string[] = [];
  for (let start = 0; start < assignable.length; start += comparisonsMax) {
    const comparisons = assignable.slice(start, start + comparisonsMax).map(({ name }, offset) => {
      const index = start + offset;
      const key = typeof name === "string" ? JSON.stringify(name) : `n${index}`;
      return `o${index}[${key}]===v${index}`;
    });
    parts.push(`()=>${comparisons.join("&&")}`);
  }
  const constants = assignable.map(({ name }, index) =>
    `const {object:o${index},value:v${index}}=p[${index}];` +
    (typeof name === "string" ? "" : `const n${index}=p[${index}].name;`)
  );
  const script = `(p)=>{${constants.join("")}const parts=[${parts.join()}];` +
    `return()=>{for(let i=0;i<parts.length;i++)if(!parts[i]())return false;return true}}`;
  return new Script(script).runInThisContext()(assignable);
}
