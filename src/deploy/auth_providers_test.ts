import assert from "node:assert/strict";
import { RequestError } from "../errors.ts";
import { parseAuthProviders } from "./auth_providers.ts";

const openId = { domain: "https://a.example", applicationID: "app" };
const customJwt = {
  type: "customJwt",
  issuer: "https://b.example",
  jwks: "https://b.example/keys",
  algorithm: "ES256",
  applicationID: "app",
};

const parse = (...providers: unknown[]) => parseAuthProviders(JSON.stringify({ providers }));

function refused(exported: unknown): string {
  try {
    parseAuthProviders(JSON.stringify(exported) ?? "");
  } catch (error) {
    assert.ok(error instanceof RequestError);
    return `${error.code}: ${error.message}`;
  }
  assert.fail("it was accepted");
}

Deno.test("http-api rule 105: both kinds of providers", () => {
  assert.deepEqual(parse(openId, customJwt), [openId, customJwt]);
  const { applicationID: _, ...forAnyone } = customJwt;
  assert.deepEqual(parse(forAnyone), [{ ...customJwt, applicationID: null }]);
  assert.deepEqual(parse({ ...customJwt, jwks: "data:text/plain;base64,e30=" }).length, 1);
});

Deno.test("http-api rule 106: the scheme of a domain may be missing", () => {
  for (
    const domain of ["localhost", "a.example", "a.example:8443", "a.auth0.com/", "a.example/t"]
  ) {
    assert.deepEqual(parse({ ...openId, domain }), [{ ...openId, domain: `https://${domain}` }]);
  }
  for (const domain of ["http://localhost:3211", "http://127.0.0.1:5", "https://internal/x"]) {
    assert.deepEqual(parse({ ...openId, domain }), [{ ...openId, domain }]);
    assert.deepEqual(parse({ ...customJwt, issuer: domain }), [{ ...customJwt, issuer: domain }]);
  }
  for (
    const domain of ['"https://a.example"', "my-tenant", "", "ftp://a.example", "10.0.0.1", "a b"]
  ) {
    assert.match(refused({ providers: [{ ...openId, domain }] }), /^InvalidProviderDomainUrl: /);
    const { issuer: _, ...rest } = customJwt;
    assert.match(
      refused({ providers: [{ ...rest, issuer: domain }] }),
      /^InvalidProviderDomainUrl: /,
    );
  }
});

Deno.test("deploy-protocol 3.9: another shape is refused by name", () => {
  const wrong: [unknown, RegExp][] = [
    [undefined, /expected object/],
    [{}, /providers/],
    [{ providers: openId }, /providers/],
    [{ providers: [openId, "x"] }, /providers\[1\]/],
    [{ providers: [{ domain: "https://a.example" }] }, /applicationID/],
    [{ providers: [{ ...openId, type: "oidc" }] }, /expected 'customJwt', or no type/],
    [{ providers: [{ ...customJwt, algorithm: "HS256" }] }, /algorithm/],
    [{ providers: [{ ...customJwt, jwks: "file:///etc/passwd" }] }, /http, https or data URL/],
    [{ providers: [{ ...customJwt, jwks: "keys" }] }, /http, https or data URL/],
  ];
  for (const [exported, reason] of wrong) {
    const message = refused(exported);
    assert.match(message, /^AuthConfigNotMatchingSchemaError: /);
    assert.match(message, reason);
  }
});
