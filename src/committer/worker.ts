/** The committer's thread: opens the database and connects it to the port that the main thread hands over. */
import { type MessagePort as NodeMessagePort, receiveMessageOnPort } from "node:worker_threads";
import { systemEnvironment } from "../environment.ts";
import { type LogFormat, setLogFormat } from "../logger.ts";
import { openWriter } from "../persistence/writer.ts";
import { encodeError, type FromCommitter, type ToCommitter } from "./messages.ts";
import { CommitterService } from "./service.ts";

/** The one message to the worker itself; all others go through the port, which is six times faster. */
export interface CommitterStart {
  readonly dataFolder: string;
  /** See `openWriter`. */
  readonly historyAgeMax: number;
  readonly flushes: boolean;
  readonly port: MessagePort;
  readonly logFormat: LogFormat;
}

interface WorkerScope {
  onmessage: (event: MessageEvent<CommitterStart>) => void;
}

(globalThis as unknown as WorkerScope).onmessage = ({ data }) => {
  const { dataFolder, historyAgeMax, flushes, port, logFormat } = data;
  setLogFormat(logFormat);
  const post = (messages: readonly FromCommitter[]) => port.postMessage(messages);
  try {
    const service = new CommitterService(
      openWriter(dataFolder, historyAgeMax, flushes),
      systemEnvironment,
      post,
    );
    port.onmessage = ({ data }: MessageEvent<readonly ToCommitter[]>) =>
      service.receive([...data, ...waitingMessages(port)]);
  } catch (error) {
    post([{ type: "fatal", error: encodeError(error) }]);
  }
};

/** What has arrived while the last group was applied: it makes one group, with one transaction and flush. */
function waitingMessages(port: MessagePort): ToCommitter[] {
  const messages: ToCommitter[] = [];
  for (;;) {
    const received = receiveMessageOnPort(port as unknown as NodeMessagePort);
    if (received === undefined) return messages;
    messages.push(...received.message as readonly ToCommitter[]);
  }
}
