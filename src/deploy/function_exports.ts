/** The public functions of a definition as a tree by module path, as other code refers to them (components 3, 4). */
import { RequestError } from "../errors.ts";
import type { AnalyzedModule } from "../isolate/protocol.ts";

export type ExportTree = ReadonlyMap<string, ExportTree | ExportedFunction>;

export interface ExportedFunction {
  /** Path with `.js`. */
  readonly module: string;
  readonly name: string;
}

type MutableTree = Map<string, MutableTree | ExportedFunction>;

/** @throws RequestError when `foo.js` exports what `foo/bar.js` occupies: both would be `api.foo.bar`. */
export function exportTree(modules: Readonly<Record<string, AnalyzedModule>>): ExportTree {
  const root: MutableTree = new Map();
  for (const [module, { functions }] of Object.entries(modules)) {
    for (const { name, visibility } of functions) {
      if (visibility === "public") add(root, { module, name });
    }
  }
  return root;
}

function add(root: MutableTree, added: ExportedFunction): void {
  let branch = root;
  for (const segment of added.module.replace(/\.js$/, "").split("/")) {
    let next = branch.get(segment);
    if (next === undefined) branch.set(segment, next = new Map());
    if (!(next instanceof Map)) throw conflict(next);
    branch = next;
  }
  if (branch.has(added.name)) throw conflict(added);
  branch.set(added.name, added);
}

function conflict({ module, name }: ExportedFunction): RequestError {
  return new RequestError(
    "badRequest",
    "InvalidExport",
    `Path "${module}":${name} conflicts with existing export`,
  );
}
