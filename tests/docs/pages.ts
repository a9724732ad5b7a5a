/** The documentation's pages. */
import { root } from "../support/source_files.ts";

export interface Page {
  /** Inside the repository. */
  readonly path: string;
  readonly markdown: string;
}

export function pages(): Page[] {
  const guides = [...Deno.readDirSync(`${root}docs`)].map(({ name }) => `docs/${name}`)
    .filter((path) => path.endsWith(".md")).sort();
  return ["README.md", ...guides, "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"]
    .map((path) => ({ path, markdown: Deno.readTextFileSync(root + path) }));
}
