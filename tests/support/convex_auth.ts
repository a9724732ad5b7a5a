/** What `npx @convex-dev/auth` sets up for an app. */
import { exportJWK, exportPKCS8, generateKeyPair } from "jose";

export interface ConvexAuthSetup {
  readonly publicKey: object;
  readonly variables: Readonly<Record<string, string>>;
}

/** New keys, and the variables that hold them. */
export async function convexAuthSetup(): Promise<ConvexAuthSetup> {
  const keys = await generateKeyPair("RS256", { extractable: true });
  const privateKey = await exportPKCS8(keys.privateKey);
  const publicKey = { use: "sig", ...await exportJWK(keys.publicKey) };
  return {
    publicKey,
    variables: {
      JWT_PRIVATE_KEY: privateKey.trimEnd().replaceAll("\n", " "),
      JWKS: JSON.stringify({ keys: [publicKey] }),
      SITE_URL: "http://localhost:5173",
    },
  };
}
