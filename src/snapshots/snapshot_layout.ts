/** Names of the files in the ZIP of an export (deploy-protocol 9). */

export const documentsFile = "documents.jsonl";
export const schemaFile = "generated_schema.jsonl";
/** Folder whose documents are the names and numbers of the tables. */
export const tablesFolder = "_tables";
/** Folder of stored files and of what is known of them. */
export const storageFolder = "_storage";

/** Where a component's folders lie, by its path: `a/b` is in `_components/a/_components/b/`. */
export function componentFolder(path: string): string {
  return path.split("/").filter((name) => name !== "").map((name) => `_components/${name}/`).join(
    "",
  );
}

const extensions: Readonly<Record<string, string>> = {
  "application/gzip": "gz",
  "application/json": "json",
  "application/pdf": "pdf",
  "application/zip": "zip",
  "audio/mpeg": "mp3",
  "audio/ogg": "ogg",
  "audio/wav": "wav",
  "image/avif": "avif",
  "image/gif": "gif",
  "image/jpeg": "jpeg",
  "image/png": "png",
  "image/svg+xml": "svg",
  "image/webp": "webp",
  "text/css": "css",
  "text/csv": "csv",
  "text/html": "html",
  "text/javascript": "js",
  "text/markdown": "md",
  "text/plain": "txt",
  "video/mp4": "mp4",
  "video/webm": "webm",
};

/** The name of a stored file: its id, so that an import finds it, and an extension, so that people open it. */
export function storedFileName(id: string, contentType: string | null): string {
  const [media = ""] = (contentType ?? "").split(";");
  const type = media.trim().toLowerCase();
  const extension = Object.hasOwn(extensions, type) ? `.${extensions[type]}` : "";
  return `${storageFolder}/${id}${extension}`;
}

/** What the README of an export says. */
export const readme = `This is an export of a deployment's data, made by Hull.

NAME/documents.jsonl          the documents of the table NAME, one JSON object a line
NAME/generated_schema.jsonl   "uniform": an integer literal is an int64, any other number a float64
_tables/documents.jsonl       the tables and their numbers, which are part of every id
_storage/                     stored files by id, and what is known of them in documents.jsonl

Bring it into a deployment, where it takes the place of everything else, with

    npx convex import --replace-all snapshot.zip
`;
