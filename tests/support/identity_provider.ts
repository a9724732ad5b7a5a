/** An identity provider on this machine: signs tokens, and publishes its keys as it is told to. */
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from "jose";

export type Algorithm = "RS256" | "ES256" | "EdDSA";

/** Keys for signing, without a server. */
export class SigningKey {
  private constructor(
    readonly algorithm: Algorithm,
    readonly kid: string,
    readonly privateKey: CryptoKey,
    readonly publicJwk: JWK,
  ) {}

  static async generate(algorithm: Algorithm, kid: string): Promise<SigningKey> {
    const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
    const jwk = await exportJWK(publicKey);
    return new SigningKey(algorithm, kid, privateKey, { ...jwk, kid, alg: algorithm, use: "sig" });
  }

  /** A token that is valid for an hour, unless the claims say otherwise; an undefined one is left out. */
  async sign(claims: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return await new SignJWT({ iat: now, exp: now + 3600, ...claims })
      .setProtectedHeader({ alg: this.algorithm, typ: "JWT", kid: this.kid, ...header })
      .sign(this.privateKey);
  }
}

export class IdentityProvider implements AsyncDisposable {
  readonly issuer: string;
  /** What is published now. */
  keys: SigningKey[];
  /** Paths that were asked for, oldest first. */
  readonly requests: string[] = [];
  /** Answers in place of what is published, where it answers at all. */
  instead: (path: string) => Response | undefined | Promise<Response | undefined> = () => undefined;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(keys: SigningKey[]) {
    this.keys = keys;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const { pathname } = new URL(request.url);
        this.requests.push(pathname);
        return await this.instead(pathname) ?? this.#publish(pathname);
      },
    );
    this.issuer = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  static async start(...algorithms: Algorithm[]): Promise<IdentityProvider> {
    const keys = algorithms.map((algorithm, i) => SigningKey.generate(algorithm, `key-${i}`));
    return new IdentityProvider(await Promise.all(keys));
  }

  get jwksUrl(): string {
    return `${this.issuer}/keys`;
  }

  get jwks(): { keys: JWK[] } {
    return { keys: this.keys.map(({ publicJwk }) => publicJwk) };
  }

  /** A token of the first key for `audience`. */
  async token(subject: string, audience: string, claims: JWTPayload = {}): Promise<string> {
    return await this.keys[0]!.sign({ iss: this.issuer, sub: subject, aud: audience, ...claims });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  #publish(path: string): Response {
    switch (path) {
      case "/.well-known/openid-configuration":
        return Response.json({ issuer: this.issuer, jwks_uri: this.jwksUrl });
      case "/keys":
        return Response.json(this.jwks);
      default:
        return new Response("nothing here", { status: 404 });
    }
  }
}
