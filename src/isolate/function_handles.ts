/**
 * Function handles: texts that convey the right to call a function, in whichever component and whatever its visibility
 * (components 8). A handle names the function and is sealed with the deployment's secret: so nothing needs to be kept,
 * the same function always has the same handle, and nobody can make one up.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { ComponentId } from "../database/component.ts";
import { displayName, type FunctionPath, parseFunctionName } from "./function_address.ts";

export interface HandledFunction {
  readonly component: ComponentId;
  readonly path: FunctionPath;
}

const sealBytes = 16;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const encoding = { alphabet: "base64url", omitPadding: true } as const;

export class FunctionHandles {
  readonly #secret: string;

  /** @param secret The deployment's; other handles are valid under another. */
  constructor(secret: string) {
    this.#secret = secret;
  }

  /** `function://SEALED#dir/mod:fn`; what follows `#` is for readers. */
  make({ component, path }: HandledFunction): string {
    const name = displayName(path);
    const content = encoder.encode(`${component}/${name}`);
    const sealed = new Uint8Array(sealBytes + content.length);
    sealed.set(this.#seal(content));
    sealed.set(content, sealBytes);
    return `function://${sealed.toBase64(encoding)}#${name}`;
  }

  /** The function of a handle, which may be gone; null for what is no handle of this deployment. */
  open(handle: string): HandledFunction | null {
    const text = /^function:\/\/([A-Za-z0-9_-]+)(?:#|$)/.exec(handle)?.[1];
    if (text === undefined) return null;
    const sealed = parseBase64(text);
    if (sealed === null || sealed.length <= sealBytes) return null;
    const content = sealed.subarray(sealBytes);
    if (!timingSafeEqual(sealed.subarray(0, sealBytes), this.#seal(content))) return null;
    const [component, ...name] = decoder.decode(content).split("/");
    return { component: component as ComponentId, path: parseFunctionName(name.join("/")) };
  }

  #seal(content: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#secret).update("function handle\0").update(content)
      .digest().subarray(0, sealBytes);
  }
}

function parseBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    return null;
  }
}
