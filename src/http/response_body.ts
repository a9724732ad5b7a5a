/** Bodies of responses that clients read at their own pace. */
import type { Environment } from "../environment.ts";

/**
 * `stream`, which is cancelled when the client has taken nothing of it for `stallMs`: an action may be waiting for
 * room. Time in which there is nothing to take does not count.
 */
export function abandonedWhenStalled(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  stallMs: number,
  environment: Environment,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  let cancelTimer = () => {};
  return new ReadableStream({
    async pull(controller) {
      cancelTimer();
      const { done, value } = await reader.read();
      if (done) return controller.close();
      controller.enqueue(value);
      cancelTimer = environment.setTimer(stallMs, () => {
        reader.cancel();
        controller.error(new Error("The client does not read"));
      });
    },
    cancel(reason) {
      cancelTimer();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
