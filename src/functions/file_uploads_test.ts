import assert from "node:assert/strict";
import { RequestError } from "../errors.ts";
import { FileUploads } from "./file_uploads.ts";
import type { FileToStore } from "./host_services.ts";

const description = { contentType: "text/plain", sha256: null };
const piece = (text: string) => new TextEncoder().encode(text);

async function textOf({ chunks }: FileToStore): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += new TextDecoder().decode(chunk);
  return text;
}

Deno.test("FileUploads stores the pieces of each upload in order, under its description", async () => {
  const uploads = new FileUploads(async (file) => `${await textOf(file)} ${file.contentType}`);
  await uploads.write(1, description, piece("a"));
  await uploads.write(2, { ...description, contentType: null }, piece("x"));
  await uploads.write(1, description, piece("b"));
  assert.equal(await uploads.finish(1, description, piece("c")), "abc text/plain");
  assert.equal(await uploads.finish(2, description, piece("")), "x null");
});

Deno.test("FileUploads holds one piece: the next is taken when the one before has been written", async () => {
  const written = Promise.withResolvers<void>();
  const uploads = new FileUploads(async ({ chunks }) => {
    for await (const _ of chunks) await written.promise;
    return "id";
  });
  await uploads.write(1, description, piece("a"));
  let isTaken = false;
  const second = uploads.write(1, description, piece("b")).then(() => isTaken = true);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isTaken, false);
  written.resolve();
  await second;
  assert.equal(await uploads.finish(1, description, piece("c")), "id");
});

Deno.test("FileUploads tells who sends a piece why the file cannot be stored", async () => {
  const full = new RequestError("overloaded", "DiskFull", "The disk is full.");
  const uploads = new FileUploads(async ({ chunks }) => {
    for await (const _ of chunks) throw full;
    return "never";
  });
  await assert.rejects(async () => {
    for (;;) await uploads.write(1, description, piece("a"));
  }, full);
});

Deno.test("FileUploads breaks off what an action leaves unfinished, and bounds how many it begins", async () => {
  const ends: unknown[] = [];
  const uploads = new FileUploads((file) =>
    textOf(file).catch((error) => {
      ends.push(error.message);
      throw error;
    })
  );
  for (let id = 0; id < 4; id++) await uploads.write(id, description, piece("a"));
  await assert.rejects(uploads.write(4, description, piece("a")), {
    code: "TooManyConcurrentUploads",
  });
  uploads.close();
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(ends, Array(4).fill("The action ended before all of its file was there"));
});
