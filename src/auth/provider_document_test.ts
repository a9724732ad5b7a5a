import assert from "node:assert/strict";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { within } from "../../tests/support/waiting.ts";
import { systemEnvironment } from "../environment.ts";
import { documentFetcher, ProviderDocumentError } from "./provider_document.ts";

const fetchDocument = documentFetcher({
  environment: systemEnvironment,
  askOwnApp: () => undefined,
});

/** A server that answers every path with its own response. */
function serve(answer: (path: string, request: Request) => Response | Promise<Response>) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => answer(new URL(request.url).pathname, request),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  return { url, [Symbol.asyncDispose]: () => server.shutdown() };
}

async function failure(document: Promise<unknown>): Promise<ProviderDocumentError> {
  const error = await document.then(() => assert.fail("it was taken"), (error) => error);
  assert.ok(error instanceof ProviderDocumentError, String(error));
  return error;
}

Deno.test("http-api rule 111: a key set is asked for as JSON and taken with its age", async () => {
  const accepted: (string | null)[] = [];
  const types = [
    "application/json",
    "application/jwk-set+json",
    "application/json; charset=utf-8",
    'Application/JSON;charset="UTF-8"',
  ];
  await using provider = serve((path, request) => {
    accepted.push(request.headers.get("accept"));
    const headers = {
      "content-type": types[Number(path.slice(1))]!,
      "cache-control": "max-age=60",
    };
    return new Response('{"keys":[]}', { headers: { ...headers, age: "20" } });
  });
  for (const i of types.keys()) {
    const document = await fetchDocument("JWKS", `${provider.url}/${i}`);
    assert.deepEqual(document, { json: { keys: [] }, maxAgeS: 40 });
  }
  assert.deepEqual(new Set(accepted), new Set(["application/json"]));
});

Deno.test("http-api 67, rule 111: data URLs of any type hold key sets", async () => {
  const json = { keys: [{ kty: "EC" }] };
  const text = JSON.stringify(json);
  const urls = [
    `data:application/json;base64,${btoa(text)}`,
    `data:text/plain;charset=utf-8;base64,${btoa(text)}`,
    `data:,${encodeURIComponent(text)}`,
  ];
  for (const url of urls) assert.deepEqual((await fetchDocument("JWKS", url)).json, json);
  assert.match((await failure(fetchDocument("JWKS", "data:,nonsense"))).message, /no JSON/);
  const long = await failure(fetchDocument("JWKS", `data:,${"x".repeat(300_000)}`));
  assert.ok(long.message.length < 400, "a message does not repeat the key set");
});

Deno.test("http-api 68, rule 113: what is no key set says what it was, and from where", async () => {
  const json = { "content-type": "application/json" };
  let followed = false;
  await using provider = serve((path) => {
    switch (path) {
      case "/html":
        return new Response("<html>", { headers: { "content-type": "text/html" } });
      case "/latin":
        return new Response("{}", { headers: { "content-type": "application/json; charset=x" } });
      case "/redirect":
        return new Response(null, { status: 302, headers: { location: "/secret" } });
      case "/secret":
        followed = true;
        return Response.json({});
      case "/text":
        return new Response("not { json", { headers: json });
      case "/huge":
        return new Response("x".repeat(300_000), { headers: json });
      case "/gone":
        return new Response(null, { status: 410 });
      default:
        return new Response(null, { status: 503 });
    }
  });
  const reasons = {
    html: /^Invalid Content-Type 'text\/html' when fetching JWKS from 'http.*\/html'\. Expected/,
    latin: /^Invalid Content-Type 'application\/json; charset=x'/,
    redirect:
      /^Could not fetch JWKS from URL 'http.*': HTTP 302 Found\. Redirects are not followed/,
    text: /the answer is no JSON/,
    huge: /the answer has more than 262144 bytes/,
    gone: /^Could not fetch JWKS from URL 'http.*\/gone': HTTP 410 Gone\.$/,
    broken: /HTTP 503 Service Unavailable/,
  };
  for (const [path, reason] of Object.entries(reasons)) {
    const error = await failure(fetchDocument("JWKS", `${provider.url}/${path}`));
    assert.match(error.message, reason);
    assert.equal(error.isTransient, path === "broken");
    assert.equal(error.status, { gone: 410, broken: 503 }[path] ?? null);
  }
  assert.equal(followed, false);
});

Deno.test("documentFetcher gives up a provider that is away, or takes too long in whatever it does", async () => {
  const never = new Promise<never>(() => {});
  const endless = () =>
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
    });
  const provider = serve((path) =>
    path === "/silent"
      ? never
      : new Response(endless(), { headers: { "content-type": "application/json" } })
  );
  for (const path of ["/silent", "/endless"]) {
    const environment = new FakeEnvironment();
    const fetchDocument = documentFetcher({ environment, askOwnApp: () => undefined });
    const document = failure(fetchDocument("JWKS", provider.url + path));
    await environment.advance(10_000);
    const error = await within(document, 5_000, "the end of the request");
    assert.match(error.message, /no answer in 10 s/);
    assert.ok(error.isTransient);
  }
  await within(provider[Symbol.asyncDispose](), 5_000, "the end of abandoned connections")
    .catch(() => {}); // A handler that never answers keeps the server; what counts is seen above.
  const error = await failure(fetchDocument("JWKS", "http://127.0.0.1:1/"));
  assert.ok(error.isTransient);
  await using breaking = serve(() => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error("lost")) });
    return new Response(body, { headers: { "content-type": "application/json" } });
  });
  assert.ok((await failure(fetchDocument("JWKS", breaking.url))).isTransient);
});

Deno.test("documentFetcher asks the app itself for its own documents", async () => {
  const environment = new FakeEnvironment();
  const fetchDocument = documentFetcher({
    environment,
    askOwnApp: (url, headers) =>
      url === "https://own/keys"
        ? Promise.resolve(Response.json({ accept: headers.get("accept") }))
        : undefined,
  });
  const { json } = await fetchDocument("JWKS", "https://own/keys");
  assert.deepEqual(json, { accept: "application/json" });
  const broken = documentFetcher({ environment, askOwnApp: () => Promise.reject(new Error("x")) });
  assert.match((await failure(broken("JWKS", "https://own/keys"))).message, /: x\.$/);
});

Deno.test("documentFetcher follows one redirect of the app to itself, as Better Auth's discovery needs, and no other", async () => {
  const locations: Readonly<Record<string, string>> = {
    "https://own/moved": "https://own/keys",
    "https://own/relative": "/keys",
    "https://own/twice": "/moved",
    "https://own/away": "https://else/keys",
    "https://own/broken": "https://",
  };
  const answer = (url: string) => {
    const location = locations[url];
    return location === undefined
      ? Response.json({ keys: [] })
      : new Response("Moved", { status: 302, headers: { location } });
  };
  const fetchDocument = documentFetcher({
    environment: new FakeEnvironment(),
    askOwnApp: (url) => url.startsWith("https://own/") ? Promise.resolve(answer(url)) : undefined,
  });
  for (const path of ["moved", "relative"]) {
    assert.deepEqual((await fetchDocument("JWKS", `https://own/${path}`)).json, { keys: [] });
  }
  for (const path of ["twice", "away", "broken"]) {
    const { message } = await failure(fetchDocument("JWKS", `https://own/${path}`));
    assert.match(message, /: HTTP 302\. Redirects are not followed/);
  }
});
