/** A client that asks for as much as it can, until its thread is ended. */
import { load } from "./http_load.ts";
import { channels, functionCall } from "./targets.ts";

const thread = self as unknown as Pick<Worker, "onmessage" | "postMessage">;
thread.onmessage = ({ data: { url, connections } }: MessageEvent) => {
  let isStarted = false;
  load({
    url,
    connections,
    durationMs: 3_600_000,
    address: "192.0.2.2",
    request(n) {
      if (!isStarted && n >= connections) {
        isStarted = true;
        thread.postMessage("started");
      }
      return functionCall("query", "messages:list", {
        channel: `c${n % channels}`,
        nonce: crypto.randomUUID(),
      });
    },
  });
};
