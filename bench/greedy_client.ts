/** The clients beside which others are measured, on a thread of their own, until that is ended. */
import { load } from "./http_load.ts";
import { channels, functionCall } from "./targets.ts";
import { subscribeToQueries } from "./subscribers.ts";

export interface Neighbours {
  readonly url: string;
  /**
   * `http`: one client that asks for as much as it can. `others`: as many clients as connections that ask for
   * `perSecond` together. `socket`: one client that keeps replacing what it subscribes to.
   */
  readonly kind: "http" | "others" | "socket";
  readonly connections: number;
  readonly perSecond?: number;
}

const thread = self as unknown as Pick<Worker, "onmessage" | "postMessage">;
/** Answers so far are told now and then. */
const reportMs = 50;

thread.onmessage = ({ data }: MessageEvent<Neighbours>) => {
  let answers = 0;
  // Others have used smaller ones.
  let nonce = Date.now() * 1000;
  setInterval(() => thread.postMessage(answers), reportMs);
  if (data.kind === "socket") return void replaceSubscriptions(data.url, () => answers++);
  const { url, connections, perSecond } = data;
  load({
    url,
    connections,
    durationMs: 3_600_000,
    address: (n) => data.kind === "http" ? "192.0.2.2" : `198.51.100.${n + 1}`,
    ...perSecond !== undefined && { perSecond },
    request(n) {
      answers = Math.max(0, n - connections);
      return functionCall("query", "messages:list", {
        channel: `c${n % channels}`,
        nonce: nonce++,
      });
    },
  });
};

/** A socket with a hundred queries that it replaces as soon as it has their results. */
async function replaceSubscriptions(url: string, onAnswer: () => void): Promise<void> {
  const count = 100;
  const args = (version: number) =>
    Array.from(
      { length: count },
      (_, n) => ({ channel: `c${n}`, nonce: Date.now() * 1000 + version * count + n }),
    );
  let version = 1;
  const onMessage = (text: string) => {
    if (!text.includes('"QueryUpdated"')) return;
    for (let n = 0; n < count; n++) onAnswer();
    const first = (version - 1) * count;
    const modifications = args(version).flatMap((one, n) => [
      { type: "Remove", queryId: first + n },
      { type: "Add", queryId: first + count + n, udfPath: "messages:list", args: [one] },
    ]);
    const [baseVersion, newVersion] = [version++, version];
    socket.send(JSON.stringify({ type: "ModifyQuerySet", baseVersion, newVersion, modifications }));
  };
  const socket = await subscribeToQueries(url, "messages:list", args(0), onMessage);
  onMessage('"QueryUpdated"');
}
