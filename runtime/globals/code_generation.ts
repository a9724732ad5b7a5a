/** No code from strings: what a push did not bring cannot run (semantics A1). */
import { defineHidden } from "./properties.ts";

export function refuseCodeGeneration(): void {
  const constructors = [
    Function,
    (async () => {}).constructor,
    (function* () {}).constructor,
    (async function* () {}).constructor,
  ];
  for (const constructor of constructors as FunctionConstructor[]) {
    const refusing = refusal(constructor.name, constructor.length);
    Object.defineProperty(refusing, "prototype", { value: constructor.prototype, writable: false });
    defineHidden(constructor.prototype, { constructor: refusing });
    if (constructor === Function) defineHidden(globalThis, { Function: refusing });
  }
  defineHidden(globalThis, { eval: refusal("eval", 1) });
}

function refusal(name: string, length: number): () => never {
  const refuse = function (): never {
    throw new EvalError("Code generation from strings disallowed for this context");
  };
  Object.defineProperty(refuse, "name", { value: name });
  Object.defineProperty(refuse, "length", { value: length });
  return refuse;
}
