// Access tokens for tests, in the shape of Entra ID's v1 tokens.  The signature is noise: who
// checks it must refuse them.  Azurite (--oauth basic) reads the claims only:
// Azure/Azurite src/blob/authentication/BlobTokenAuthenticator.ts.
//
//   node jwt.mjs [app|user] [CLAIM=VALUE...] [--age SECONDS] [--lifetime SECONDS]
//
// app (default) is a managed identity or service principal (idtyp app), user a person (scp, upn).
// CLAIM=VALUE sets a claim, CLAIM= removes it.  The token is valid from --age seconds ago (300) for
// --lifetime seconds from now (3600; negative: already expired).

import { randomBytes, randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";

export const tenant = "11111111-aaaa-4aaa-8aaa-111111111111";
const storage = "https://storage.azure.com/";

const base64url = (value) => Buffer.from(value).toString("base64url");

function claimsOf(kind, appid, oid) {
  if (kind === "user") {
    return {
      appid,
      appidacr: "0",
      idtyp: "user",
      name: "Test Person",
      oid,
      scp: "user_impersonation",
      sub: base64url(randomBytes(32)),
      unique_name: "person@test.local",
      upn: "person@test.local",
    };
  }
  return { appid, appidacr: "2", idtyp: "app", oid, sub: oid };
}

export function mint({ kind = "app", claims = {}, age = 300, lifetime = 3600 } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const tid = claims.tid ?? tenant;
  const payload = {
    aud: storage,
    iss: `https://sts.windows.net/${tid}/`,
    iat: now - age,
    nbf: now - age,
    exp: now + lifetime,
    tid,
    uti: base64url(randomBytes(16)),
    ver: "1.0",
    ...claimsOf(kind, claims.appid ?? randomUUID(), claims.oid ?? randomUUID()),
    ...claims,
  };
  for (const name of Object.keys(claims)) {
    if (claims[name] === "") {
      delete payload[name];
    }
  }
  const header = { typ: "JWT", alg: "RS256", kid: "amlshim-test" };
  return [JSON.stringify(header), JSON.stringify(payload), randomBytes(256)]
    .map(base64url)
    .join(".");
}

function usage(why) {
  console.error(`jwt: ${why}`);
  process.exit(2);
}

function main(args) {
  const options = { claims: {} };
  const numeric = new Set(["iat", "nbf", "exp"]);
  for (let i = 0; i < args.length; i++) {
    const equals = args[i].indexOf("=");
    if (args[i] === "app" || args[i] === "user") {
      options.kind = args[i];
    } else if (args[i] === "--age" || args[i] === "--lifetime") {
      const seconds = Number(args[i + 1]);
      if (!Number.isInteger(seconds)) {
        usage(`${args[i]} wants seconds`);
      }
      options[args[i++].slice(2)] = seconds;
    } else if (equals > 0 && !args[i].startsWith("-")) {
      const name = args[i].slice(0, equals);
      const value = args[i].slice(equals + 1);
      options.claims[name] = numeric.has(name) && value !== "" ? Number(value) : value;
    } else {
      usage(`what is ${args[i]}?`);
    }
  }
  console.log(mint(options));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  main(process.argv.slice(2));
}
