import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { exportSPKI, importJWK } from "jose";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { type Algorithm, SigningKey } from "../../tests/support/identity_provider.ts";
import { RequestError } from "../errors.ts";
import type { AuthProvider } from "./auth_provider.ts";
import { ProviderDocumentError } from "./provider_document.ts";
import { TokenVerifier } from "./token_verifier.ts";

const issuer = "https://provider.example";
const app = "my-app";
const keys: Record<Algorithm, SigningKey> = {
  RS256: await SigningKey.generate("RS256", "rsa"),
  ES256: await SigningKey.generate("ES256", "ec"),
  EdDSA: await SigningKey.generate("EdDSA", "ed"),
};
const published = { keys: Object.values(keys).map(({ publicJwk }) => publicJwk) };

const openId: AuthProvider = { domain: issuer, applicationID: app };
const customJwt = (algorithm: string, applicationID: string | null = app): AuthProvider => ({
  type: "customJwt",
  issuer,
  jwks: `${issuer}/keys`,
  algorithm,
  applicationID,
});

/** Documents by URL; a verifier over them whose clock starts now. */
function setUp(
  providers: readonly AuthProvider[],
  options: { readonly jwks?: unknown; readonly redact?: boolean } = {},
) {
  const environment = new FakeEnvironment();
  environment.epochMs = Date.now();
  const documents: Record<string, unknown> = {
    [`${issuer}/.well-known/openid-configuration`]: { issuer, jwks_uri: `${issuer}/keys` },
    [`${issuer}/keys`]: "jwks" in options ? options.jwks : published,
  };
  const requests: string[] = [];
  const verifier = new TokenVerifier({
    environment,
    redact: options.redact ?? false,
    async fetchDocument(_kind, url) {
      requests.push(url);
      const json = documents[url];
      if (json instanceof Error) throw json;
      if (json === undefined) throw new ProviderDocumentError("HTTP 404", 404, false);
      return { json, maxAgeS: null };
    },
  });
  verifier.use(providers);
  const refused = async (token: string): Promise<RequestError> => {
    const outcome = await verifier.verify(token).catch((error) => error);
    assert.ok(outcome instanceof RequestError, `accepted, or failed otherwise: ${outcome}`);
    return outcome;
  };
  const identity = async (token: string) => (await verifier.verify(token)).identity;
  return { environment, documents, requests, verifier, refused, identity };
}

const claims = { iss: issuer, sub: "user1", aud: app };
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const inSeconds = (s: number) => Math.floor(Date.now() / 1000) + s;

Deno.test("http-api 53, 74, 71, 73: standard claims of an OIDC token are renamed, those of the token are left out", async () => {
  const { identity } = setUp([openId]);
  const token = await keys.RS256.sign({
    ...claims,
    ...{ name: "N", given_name: "G", family_name: "F", nickname: "K", preferred_username: "P" },
    ...{ profile: "https://p", picture: "https://q", website: "https://w", email: "e@x" },
    ...{ email_verified: true, gender: "d", birthdate: "2000-01-01", zoneinfo: "Europe/Zurich" },
    ...{ locale: "de", phone_number: "+41", phone_number_verified: "false" },
    ...{ address: { formatted: "Street 1", country: "CH" }, updated_at: 1_700_000_000 },
    ...{ jti: "j", nbf: inSeconds(-5), fva: [1, 2], nonce: "n", auth_time: 5, at_hash: "a" },
    ...{ role: "admin", org: { id: 7, roles: ["a", "b"] }, nothing: null },
  });
  assert.deepEqual(await identity(token), {
    ...{ tokenIdentifier: `${issuer}|user1`, issuer, subject: "user1" },
    ...{ name: "N", givenName: "G", familyName: "F", nickname: "K", preferredUsername: "P" },
    ...{ profileUrl: "https://p", pictureUrl: "https://q", websiteUrl: "https://w", email: "e@x" },
    ...{ emailVerified: true, gender: "d", birthday: "2000-01-01", timezone: "Europe/Zurich" },
    ...{ language: "de", phoneNumber: "+41", phoneNumberVerified: false, address: "Street 1" },
    updatedAt: "2023-11-14T22:13:20.000Z",
    ...{ role: "admin", org: { id: 7, roles: ["a", "b"] }, nothing: null },
  });
});

Deno.test("http-api 71-74: claims of a custom token keep their names, nested ones get dotted names", async () => {
  const { identity } = setUp([customJwt("ES256")]);
  const token = await keys.ES256.sign({
    ...claims,
    ...{ given_name: "G", updated_at: 5, a: { b: 1, c: { d: [{ e: 1 }] } }, jti: "j", fva: 1 },
    nbf: inSeconds(-5),
  });
  assert.deepEqual(await identity(token), {
    ...{ tokenIdentifier: `${issuer}|user1`, issuer, subject: "user1" },
    ...{ given_name: "G", updated_at: 5, "a.b": 1, "a.c.d": [{ e: 1 }] },
  });
});

Deno.test("http-api rule 115: a later token of the same user makes the same identity", async () => {
  const { identity } = setUp([openId]);
  const first = await keys.RS256.sign({ ...claims, b: 1, a: 2, jti: "1", exp: inSeconds(60) });
  const second = await keys.RS256.sign({ jti: "2", nonce: "n", a: 2, b: 1, ...claims });
  assert.equal(JSON.stringify(await identity(first)), JSON.stringify(await identity(second)));
});

Deno.test("http-api rule 114: no claim takes the place of who the user is", async () => {
  const forged = JSON.parse('{"__proto__": {"role": "admin"}}');
  for (const provider of [openId, customJwt("RS256")]) {
    const { identity } = setUp([provider]);
    const user = await identity(
      await keys.RS256.sign({
        ...claims,
        ...{ tokenIdentifier: "x|admin", issuer: "x", subject: "admin" },
      }),
    );
    assert.deepEqual(user, { tokenIdentifier: `${issuer}|user1`, issuer, subject: "user1" });
    const payload = Object.assign(Object.create(null), claims);
    Object.defineProperty(payload, "__proto__", { value: forged, enumerable: true });
    const other = await identity(await keys.RS256.sign(payload));
    assert.equal(Object.getPrototypeOf(other), Object.prototype);
    assert.equal(other.role, undefined);
  }
});

Deno.test("http-api 63: the issuer matches with and without a slash at the end or its scheme", async () => {
  const spellings = [issuer, `${issuer}/`, "provider.example", "provider.example//"];
  for (const iss of spellings) {
    for (const provider of [openId, { ...openId, domain: `${issuer}/` }, customJwt("RS256")]) {
      const { identity } = setUp([provider]);
      const user = await identity(await keys.RS256.sign({ ...claims, iss }));
      assert.equal(user.tokenIdentifier, `${iss}|user1`, "as it stands in the token");
    }
  }
});

Deno.test("http-api 64, 65: the audience selects the provider", async () => {
  const { identity, refused, requests } = setUp([{ ...openId, applicationID: "other" }, openId]);
  await identity(await keys.RS256.sign({ ...claims, aud: [app] }));
  for (const aud of [undefined, "third", ["third"], []]) {
    const error = await refused(await keys.RS256.sign({ ...claims, aud: aud as string }));
    assert.equal(error.code, "NoAuthProvider");
    assert.match(error.message, /OIDC domain .*provider\.example.* "other"; .*"my-app"/);
  }
  assert.equal(requests.length, 2, "nobody asks for the keys of a provider that no token is from");

  const several = await keys.RS256.sign({ ...claims, aud: [app, "third"] });
  assert.match((await refused(several)).message, /for other audiences, too/);
  await setUp([customJwt("RS256")]).verifier.verify(several);

  const anyone = setUp([customJwt("RS256", null)]);
  for (const aud of [undefined, "third", ["third", "fourth"]]) {
    await anyone.identity(await keys.RS256.sign({ ...claims, aud: aud as string }));
  }
});

Deno.test("http-api 66, rule 109: each kind of provider takes its algorithms and no other", async () => {
  for (const algorithm of ["RS256", "ES256"] as const) {
    const { identity, refused } = setUp([customJwt(algorithm)]);
    await identity(await keys[algorithm].sign(claims));
    const other = keys[algorithm === "RS256" ? "ES256" : "RS256"];
    const { code, message } = await refused(await other.sign(claims));
    assert.equal(code, "InvalidAuthHeader");
    assert.match(message, /"alg".*not allowed/);
  }
  const { identity, refused } = setUp([openId]);
  await identity(await keys.RS256.sign(claims));
  await identity(await keys.EdDSA.sign(claims));
  assert.equal((await refused(await keys.ES256.sign(claims))).code, "Unauthenticated");
});

Deno.test("http-api 54, 70: expiry, with a leeway of 5 s for custom tokens", async () => {
  const expiring = (s: number) => keys.RS256.sign({ ...claims, exp: inSeconds(s) });
  const custom = setUp([customJwt("RS256")]);
  await custom.identity(await expiring(-3));
  assert.match((await custom.refused(await expiring(-10))).message, /^Could not validate.*"exp"/);
  const standard = setUp([openId]);
  const late = await standard.refused(await expiring(-1));
  assert.equal(`${late.kind} ${late.code}`, "unauthenticated Unauthenticated");
  assert.match(late.message, /^Could not verify OIDC token claim\..* expired/);
  assert.equal((await standard.verifier.verify(await expiring(60))).expiresAt, inSeconds(60));
});

Deno.test("http-api rule 112: a token counts from nbf on, give or take 5 s; subject and expiry must be there", async () => {
  for (const provider of [openId, customJwt("RS256")]) {
    const { identity, refused } = setUp([provider]);
    await identity(await keys.RS256.sign({ ...claims, nbf: inSeconds(3) }));
    const early = await refused(await keys.RS256.sign({ ...claims, nbf: inSeconds(60) }));
    assert.match(early.message, /"nbf" claim timestamp check failed/);
    for (const missing of [{ sub: undefined }, { exp: undefined }, { sub: 7 }]) {
      const error = await refused(await keys.RS256.sign({ ...claims, ...missing } as never));
      assert.equal(error.code, "InvalidAuthHeader");
      assert.match(error.message, /Missing (subject|expiry)|'sub' and 'exp'/);
    }
    const odd = await refused(await keys.RS256.sign({ ...claims, exp: "soon" } as never));
    assert.match(odd.message, /"exp" claim must be a number/);
  }
});

Deno.test("http-api 69, rule 112: a custom token names its key; an OIDC token may leave that out if there is one key", async () => {
  const unnamed = await keys.RS256.sign(claims, { kid: undefined });
  const custom = setUp([customJwt("RS256")]);
  assert.match((await custom.refused(unnamed)).message, /may be missing a 'kid'/);
  // Such key sets, without a `kid`, are what @convex-dev/auth publishes.
  const { kid: _, alg: __, ...bare } = keys.RS256.publicJwk;
  await setUp([openId], { jwks: { keys: [bare] } }).identity(unnamed);
  const another = await SigningKey.generate("RS256", "another");
  const two = setUp([openId], { jwks: { keys: [bare, another.publicJwk] } });
  assert.match((await two.refused(unnamed)).message, /multiple matching keys/);
});

Deno.test("TokenVerifier: hostile tokens are refused, whatever they say about how to verify them", async () => {
  const [header, payload, signature] = (await keys.RS256.sign(claims)).split(".");
  const publicPem = await exportSPKI(await importJWK(keys.RS256.publicJwk) as CryptoKey);
  const hmac = (header: unknown) => {
    const signed = `${base64(header)}.${payload}`;
    return `${signed}.${createHmac("sha256", publicPem).update(signed).digest("base64url")}`;
  };
  const foreign = await SigningKey.generate("RS256", "rsa");
  const foreignJwk = foreign.publicJwk;
  const keyIds = [
    "../../../../dev/null",
    "' OR 1=1 --",
    "http://127.0.0.1:1/key",
    "__proto__",
    "x".repeat(5000),
    7,
    null,
    {},
  ];
  const tokens: Record<string, string> = {
    "no algorithm": `${base64({ alg: "none" })}.${payload}.`,
    "no algorithm, with a signature": `${base64({ alg: "none" })}.${payload}.${signature}`,
    "no algorithm, otherwise spelled": `${base64({ alg: "nOnE", kid: "rsa" })}.${payload}.`,
    "public key as HMAC secret": hmac({ alg: "HS256", kid: "rsa", typ: "JWT" }),
    "another key of the same name": await foreign.sign(claims),
    "a key in the header": await foreign.sign(claims, { jwk: foreignJwk, kid: undefined }),
    "a key set in the header": await foreign.sign(claims, { jku: "http://127.0.0.1:1/keys" }),
    "a certificate in the header": await foreign.sign(claims, { x5u: "http://127.0.0.1:1/c" }),
    "critical extensions": `${
      base64({ alg: "RS256", kid: "rsa", crit: ["x"], x: 1 })
    }.${payload}.${signature!}`,
    "a changed payload": `${header}.${base64({ ...claims, sub: "admin", exp: 9e9 })}.${signature}`,
    "no signature": `${header}.${payload}.`,
    "a cut signature": `${header}.${payload}.${signature!.slice(0, -4)}`,
    "a longer signature": `${header}.${payload}.${signature}AAAA`,
    "a key of the wrong type": await keys.RS256.sign(claims, { kid: "ec" }),
  };
  for (const kid of keyIds) {
    tokens[`key id ${JSON.stringify(kid)?.slice(0, 20)}`] = await foreign.sign(claims, { kid });
  }
  for (const provider of [openId, customJwt("RS256")]) {
    const { refused, requests, identity } = setUp([provider]);
    for (const [name, token] of Object.entries(tokens)) {
      const { kind, message } = await refused(token);
      assert.equal(kind, "unauthenticated", name);
      assert.ok(message.length < 400, `${name}: ${message}`);
    }
    assert.ok(
      requests.every((url) => url.startsWith(issuer)),
      "only what is configured is fetched",
    );
    await identity(await keys.RS256.sign(claims));
  }
});

Deno.test("TokenVerifier: a token that was changed anywhere is refused, or still says the same", async () => {
  const { verifier } = setUp([openId, customJwt("ES256")]);
  const tokens = [await keys.RS256.sign(claims), await keys.EdDSA.sign(claims)];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...tokens),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.constantFrom("", "A", "_", ".", "=", "\0", "é", "AAAA", "eyJ9"),
      fc.nat(2),
      async (token, where, inserted, removedCount) => {
        const at = Math.floor(where * token.length);
        const changed = token.slice(0, at) + inserted + token.slice(at + removedCount);
        const outcome = await verifier.verify(changed).catch((error) => error);
        if (outcome instanceof RequestError) assert.equal(outcome.kind, "unauthenticated");
        else assert.equal(outcome.identity.tokenIdentifier, `${issuer}|user1`);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("TokenVerifier: an ES256 signature of another length, or in another form, is refused", async () => {
  const { refused, identity } = setUp([customJwt("ES256")]);
  const token = await keys.ES256.sign(claims);
  await identity(token);
  const [header, payload, signature] = token.split(".");
  const bytes = Buffer.from(signature!, "base64url");
  const der = Buffer.concat([Buffer.from([0x30, 68, 2, 32]), bytes]);
  for (const wrong of [bytes.subarray(1), Buffer.concat([bytes, bytes]), der, Buffer.alloc(64)]) {
    await refused(`${header}.${payload}.${wrong.toString("base64url")}`);
  }
});

Deno.test("http-api 56: what is no token says so; of claims given twice the last counts for everything", async () => {
  const { refused, identity } = setUp([openId]);
  const malformed = [
    "garbage",
    "a.b",
    "a.b.c.d",
    "..",
    `${base64({})}.${base64("text")}.x`,
    `.${base64(claims)}.`,
    `${base64({ alg: "RS256" })}.bm9uc2Vuc2U.x`,
    `x.${Buffer.from("[".repeat(9000)).toString("base64url")}.x`,
    "x".repeat(20_000),
    "x".repeat(2_000_000),
  ];
  for (const token of malformed) {
    const { kind, code } = await refused(token);
    assert.equal(kind, "unauthenticated");
    assert.ok(["InvalidAuthHeader", "Unauthenticated"].includes(code), code);
  }
  assert.match((await refused(`x.${base64({ sub: "s" })}.x`)).message, /Missing issuer claim/);
  assert.match((await refused(`x.${base64({ ...claims, aud: 7 })}.x`)).message, /'aud'/);
  const twice = `{"iss":"https://else","iss":${JSON.stringify(issuer)},"sub":"a","sub":"b",` +
    `"aud":"my-app","exp":${inSeconds(60)}}`;
  const { privateKey } = keys.RS256;
  const signed = `${base64({ alg: "RS256", kid: "rsa" })}.${
    Buffer.from(twice).toString("base64url")
  }`;
  const signature = await crypto.subtle.sign(
    "RSASSA-PKCS1-v1_5",
    privateKey as globalThis.CryptoKey,
    new TextEncoder().encode(signed),
  );
  const user = await identity(`${signed}.${Buffer.from(signature).toString("base64url")}`);
  assert.equal(user.tokenIdentifier, `${issuer}|b`);
});

Deno.test("http-api rule 115: a standard claim of the wrong type is named", async () => {
  const { refused } = setUp([openId]);
  const wrong = [{ name: 5 }, { email_verified: "yes" }, { address: "x" }, { updated_at: "x" }, {
    updated_at: 1e300,
  }];
  for (const claim of wrong) {
    const { code, message } = await refused(await keys.RS256.sign({ ...claims, ...claim }));
    assert.equal(code, "InvalidAuthHeader");
    assert.match(message, new RegExp(`The claim '${Object.keys(claim)[0]}' must be `));
  }
});

Deno.test("TokenVerifier: claims that functions could not store are refused by name", async () => {
  const nested = (levels: number): unknown => levels === 0 ? 1 : [nested(levels - 1)];
  for (const provider of [openId, customJwt("RS256")]) {
    const { identity, refused } = setUp([provider]);
    await identity(await keys.RS256.sign({ ...claims, list: nested(64) }));
    const { message } = await refused(await keys.RS256.sign({ ...claims, list: nested(65) }));
    assert.equal(message, "The claim 'list' is nested deeper than 64 levels");
  }
});

Deno.test("TokenVerifier: a token that was accepted is not once its time is over or its key is gone", async () => {
  const { environment, documents, identity, refused } = setUp([openId]);
  const token = await keys.RS256.sign({ ...claims, exp: inSeconds(1200) });
  const users = [await identity(token), await identity(token), await identity(token)];
  assert.equal(users[1], users[2], "verified once");
  const [header, payload] = token.split(".");
  await refused(`${header}.${payload}.${"A".repeat(342)}`);
  await environment.advance(1_199_000);
  await identity(token);
  await identity(token);
  await environment.advance(1_500);
  await refused(token);

  const other = await keys.RS256.sign({ ...claims, exp: inSeconds(90_000) });
  await identity(other);
  await identity(other);
  documents[`${issuer}/keys`] = { keys: [keys.EdDSA.publicJwk] };
  await identity(other);
  await environment.advance(10 * 60_000 + 1);
  await refused(other);
});

Deno.test("http-api rule 108, 113: with errors kept secret nothing is told about providers and keys", async () => {
  const { refused } = setUp([customJwt("RS256")], { redact: true });
  const stranger = await refused(await keys.RS256.sign({ ...claims, iss: "https://else" }));
  assert.equal(stranger.message, "No auth provider found matching the given token");
  const unknownKey = await refused(await keys.RS256.sign(claims, { kid: "secret name" }));
  assert.doesNotMatch(unknownKey.message, /secret name/);
});

Deno.test("http-api rule 110: a discovery document that is not the issuer's, or leads to plain http, is not used", async () => {
  const { documents, refused, identity, environment } = setUp([openId]);
  const url = `${issuer}/.well-known/openid-configuration`;
  const good = documents[url];
  const bad = [
    [{ issuer: "https://else", jwks_uri: `${issuer}/keys` }, /its 'issuer' must be/],
    [{ issuer, jwks_uri: "http://provider.example/keys" }, /its 'jwks_uri' must be/],
    [{ issuer, jwks_uri: "file:///etc/passwd" }, /its 'jwks_uri' must be/],
    [{ issuer }, /its 'jwks_uri' must be/],
    [null, /its 'issuer' must be/],
  ] as const;
  const token = await keys.RS256.sign(claims);
  for (const [document, reason] of bad) {
    documents[url] = document;
    const error = await refused(token);
    assert.equal(`${error.kind} ${error.code}`, "badRequest AuthProviderDiscoveryFailed");
    assert.match(error.message, reason);
  }
  documents[url] = good;
  await environment.advance(60_000);
  await identity(token);
});

Deno.test("http-api rule 110: how a provider fails decides how the request fails", async () => {
  const token = await keys.RS256.sign(claims);
  const kinds = [
    [401, "unauthenticated"],
    [403, "forbidden"],
    [404, "notFound"],
    [429, "rateLimited"],
    [418, "badRequest"],
    [503, "overloaded"],
    [null, "overloaded"],
  ] as const;
  for (const [status, kind] of kinds) {
    const failure = new ProviderDocumentError("…", status, status === null || status >= 500);
    const standard = setUp([openId]);
    standard.documents[`${issuer}/.well-known/openid-configuration`] = failure;
    const error = await standard.refused(token);
    assert.equal(`${error.kind} ${error.code}`, `${kind} AuthProviderDiscoveryFailed`);
    const custom = setUp([customJwt("RS256")]);
    custom.documents[`${issuer}/keys`] = failure;
    const refusal = await custom.refused(token);
    const expected = kind === "overloaded" ? kind : "unauthenticated";
    assert.equal(`${refusal.kind} ${refusal.code}`, `${expected} InvalidAuthHeader`);
  }
});

Deno.test("TokenVerifier: a key set that is none, or holds secret or weak keys, verifies nothing", async () => {
  const weak = await crypto.subtle.generateKey(
    {
      name: "RSASSA-PKCS1-v1_5",
      modulusLength: 1024,
      publicExponent: Uint8Array.of(1, 0, 1),
      hash: "SHA-256",
    },
    true,
    ["sign", "verify"],
  );
  const weakJwk = { ...await crypto.subtle.exportKey("jwk", weak.publicKey), kid: "rsa" };
  const sets = [null, 5, {}, { keys: "x" }, { keys: [5] }, { keys: [{ kty: "RSA", kid: "rsa" }] }, {
    keys: [{ kty: "oct", k: "AAAA", kid: "rsa" }],
  }, { keys: [weakJwk] }];
  for (const jwks of sets) {
    for (const provider of [openId, customJwt("RS256")]) {
      const { refused } = setUp([provider], { jwks });
      assert.equal((await refused(await keys.RS256.sign(claims))).kind, "unauthenticated");
    }
  }
});
