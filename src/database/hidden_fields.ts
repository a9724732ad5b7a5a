/** What the server keeps in documents of system tables and user code does not see. */
import type { ValueObject } from "../values/value.ts";

/** In `_scheduled_functions`: the component whose function a job runs; absent: the app. */
export const jobComponentField = "component";

/** A fresh document of a system table as user code may see it. */
export function withoutHiddenFields(document: ValueObject): ValueObject {
  delete document[jobComponentField];
  return document;
}
