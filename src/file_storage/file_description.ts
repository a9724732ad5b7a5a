/** What may come with the bytes of a new file (http-api 47, function-abi 9). */

export interface FileDescription {
  readonly contentType: string | null;
  /** Expected digest in base64; null: not checked. */
  readonly sha256: string | null;
}

export function isMediaType(text: string): boolean {
  return /^[\w!#$&^.+-]+\/[\w!#$&^.+*-]+\s*(;.*)?$/.test(text);
}

/** Whether it is the base64 form of 32 bytes. */
export function isSha256(text: string): boolean {
  return /^[A-Za-z0-9+/]{43}=$/.test(text);
}
