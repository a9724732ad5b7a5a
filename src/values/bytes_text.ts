/**
 * Bytes as base64 and hex texts. Engines have this built in since 2025; of Node.js, which runs this code for Node
 * actions, only versions after 24.
 */
const hasOwnMethods = typeof Uint8Array.fromBase64 === "function";
/** With all padding, and nothing else. */
const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function toBase64(bytes: Uint8Array): string {
  if (hasOwnMethods) return bytes.toBase64();
  let text = "";
  // In pieces that all pads end, and that fit a call's arguments.
  for (let start = 0; start < bytes.length; start += 0x6000) {
    text += btoa(String.fromCharCode(...bytes.subarray(start, start + 0x6000)));
  }
  return text;
}

/** @throws SyntaxError unless the text is just what `toBase64` gives. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  if (hasOwnMethods) return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  const bytes = base64Pattern.test(text)
    ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
    : null;
  // Bits that the last byte does not take must be zero.
  if (bytes === null || !text.endsWith(toBase64(bytes.subarray(bytes.length - bytes.length % 3)))) {
    throw new SyntaxError("not base64");
  }
  return bytes;
}

export function toHex(bytes: Uint8Array): string {
  if (hasOwnMethods) return bytes.toHex();
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
