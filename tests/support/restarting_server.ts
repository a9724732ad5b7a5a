/** A production server that tests stop, kill and start again on the same port and data folder. */
import { copyApp } from "./apps.ts";
import { Clients } from "./clients.ts";
import { type ServerOptions, ServerProcess, sideBySide } from "./server_process.ts";

export class RestartingServer implements AsyncDisposable {
  readonly url: string;
  readonly clients: Clients;
  readonly #options: ServerOptions;
  readonly #dataFolder: string;
  #server: ServerProcess;

  private constructor(server: ServerProcess, dataFolder: string, options: ServerOptions) {
    this.url = server.url;
    this.clients = new Clients(server);
    this.#server = server;
    this.#dataFolder = dataFolder;
    this.#options = options;
  }

  /**
   * Starts a server and deploys the app to it once; later starts find it in the data folder. `app`: path of a fixture
   * inside the repository, or of a folder that is ready to be deployed.
   */
  static async start(
    app: string,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<RestartingServer> {
    const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
    const settings = { dataFolder, environment: { ...sideBySide, ...environment } };
    const server = await ServerProcess.start(settings);
    const isReady = app.startsWith("/");
    const folder = isReady ? app : await copyApp(app);
    await server.deploy(folder);
    if (!isReady) await Deno.remove(folder, { recursive: true });
    const port = Number(new URL(server.url).port);
    return new RestartingServer(server, dataFolder, { ...settings, port });
  }

  get current(): ServerProcess {
    return this.#server;
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async kill(): Promise<void> {
    await this.#server.kill();
  }

  async startAgain(): Promise<void> {
    this.#server = await ServerProcess.start(this.#options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clients.close();
    await this.#server.stop();
    await Deno.remove(this.#dataFolder, { recursive: true });
  }
}
