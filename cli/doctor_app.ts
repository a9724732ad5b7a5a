/** Whether an app could be pushed: its files, packages, Node.js, and the identity providers that it names. */
import { type AuthProvider, isCustomJwt } from "../src/auth/auth_provider.ts";
import { documentFetcher } from "../src/auth/provider_document.ts";
import { AppError, type AppFolder, loadAppFolder, NoAppError } from "../src/deploy/app_folder.ts";
import { bundleApp } from "../src/deploy/bundle.ts";
import { generateCode } from "../src/deploy/generate_code.ts";
import { findEntryPoints } from "../src/deploy/entry_points.ts";
import { systemEnvironment } from "../src/environment.ts";
import { errorMessage } from "../src/errors.ts";
import { NodeInstallations, NodeUnavailable } from "../src/isolate/node_installations.ts";
import { type ApiClient, ApiError } from "./api_client.ts";
import { readEnvironmentFiles } from "./connection.ts";
import { type Findings, ok, problem, warning } from "./finding.ts";
import { tryPush } from "./push.ts";
import { findCompiler } from "./type_check.ts";

/** The oldest release whose clients Hull is tested with. */
const convexVersionMin = [1, 17] as const;

export async function* examineApp(path: string, client: ApiClient | undefined): Findings {
  let app: AppFolder;
  try {
    app = await loadAppFolder(path);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error instanceof NoAppError) yield ok("App", "there is none here; `hull init` makes one");
    else yield problem("App", error.message);
    return;
  }
  yield ok("App", app.functionsPath);
  yield* examinePackages(app);
  const variables = await readEnvironmentFiles(app.path);
  if (variables.CONVEX_SELF_HOSTED_URL && variables.CONVEX_DEPLOYMENT) {
    yield problem(
      "App",
      ".env.local names two deployments: CONVEX_DEPLOYMENT and CONVEX_SELF_HOSTED_URL",
      "Remove CONVEX_DEPLOYMENT to use Hull: `npx convex` refuses to choose.",
    );
  }
  yield* examineNode(app);
  if (client === undefined) {
    yield ok("Push", "not tried: that needs a running server");
    return;
  }
  yield* examinePush(app, client);
}

async function* examinePackages({ convexPackage, functionsPath }: AppFolder): Findings {
  const { version, isEmbedded } = convexPackage;
  if (isEmbedded) {
    yield ok("Package convex", `${version}, the one in Hull: the app has none installed`);
  } else if (isOlder(version, convexVersionMin)) {
    yield warning(
      "Package convex",
      `${version} is older than what Hull is tested with`,
      `Install a later one (npm install convex@latest); ${
        convexVersionMin.join(".")
      } is the oldest.`,
    );
  } else {
    yield ok("Package convex", version);
  }
  const compiler = await findCompiler(functionsPath);
  yield ok(
    "TypeScript",
    compiler === undefined ? "not installed: types are not checked" : compiler,
  );
}

function isOlder(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split(".").map(Number);
  return ownMajor < major || ownMajor === major && ownMinor < minor;
}

async function* examineNode({ functionsPath, nodeVersion }: AppFolder): Findings {
  try {
    const entryPoints = await findEntryPoints(functionsPath);
    if (!entryPoints.some(({ environment }) => environment === "node")) {
      yield ok("Node.js", 'not needed: no file begins with "use node"');
      return;
    }
    const { path, hasPermissions } = await new NodeInstallations().find(nodeVersion);
    yield hasPermissions ? ok("Node.js", path) : warning(
      "Node.js",
      `${path} cannot keep Node actions from files of this machine`,
      'On Linux, Node.js 20 or later can; see "Node actions" in the documentation.',
    );
  } catch (error) {
    if (error instanceof NodeUnavailable) yield problem("Node.js", `the app ${error.message}`);
    else if (error instanceof AppError) yield problem("App", error.message);
    else throw error;
  }
}

/** As a push would, up to where it would change something. */
async function* examinePush(app: AppFolder, client: ApiClient): Findings {
  try {
    await generateCode(app);
    const bundle = await bundleApp(app);
    for (const text of bundle.warnings) yield warning("Push", text, "See above.");
    const { appAuth } = await tryPush(client, app, bundle);
    yield ok("Push", "the server would take the app as it is");
    yield* examineProviders(appAuth);
  } catch (error) {
    if (!(error instanceof ApiError) && !(error instanceof AppError)) throw error;
    yield problem("Push", error.message);
  }
}

async function* examineProviders(providers: readonly AuthProvider[]): Findings {
  if (providers.length === 0) {
    yield ok("Sign-in", "no auth.config.ts: everybody is anonymous");
    return;
  }
  const fetchDocument = documentFetcher({
    environment: systemEnvironment,
    // The app answers over the network like others.
    askOwnApp: () => undefined,
  });
  for (const provider of providers) {
    const name = isCustomJwt(provider) ? provider.issuer : provider.domain;
    try {
      let jwks: string;
      if (isCustomJwt(provider)) {
        jwks = provider.jwks;
      } else {
        const url = `${provider.domain.replace(/\/+$/, "")}/.well-known/openid-configuration`;
        const { json } = await fetchDocument("discovery document", url);
        jwks = String(Object(json).jwks_uri);
      }
      const { json } = await fetchDocument("JWKS", jwks);
      const keys = Object(json).keys;
      if (Array.isArray(keys) && keys.length > 0) {
        yield ok("Sign-in", `${name} answers and has ${keys.length} keys`);
      } else {
        yield problem("Sign-in", `the key set of ${name} has no keys`, "Ask its operator.");
      }
    } catch (error) {
      yield problem(
        "Sign-in",
        `${name} cannot be used from this machine: ${errorMessage(error)}`,
        "Users with its tokens cannot sign in until it answers; correct convex/auth.config.ts if it is wrong there.",
      );
    }
  }
}
