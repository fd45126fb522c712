// Whether the official clients are content with azsim's Entra ID, and what it refuses.
//
//   node entra.mjs secret SECRET | certificate FILE | workload FILE
//       by @azure/identity's credential of that kind: prints the token's oid, or "refused: REASON"
//   node entra.mjs post PATH [NAME=VALUE...]
//       status, then AADSTS code or "-"; the form as it is; TYPE= is the content type, METHOD= the method
//
// ENTRA is HOST:PORT, TENANT and CLIENT the ids.

import { readFileSync } from "node:fs";
import { load } from "../sdk/deps.mjs";

const { ClientCertificateCredential, ClientSecretCredential, WorkloadIdentityCredential } =
  load("@azure/identity");

const { ENTRA, TENANT, CLIENT } = process.env;
const options = { authorityHost: `https://${ENTRA}`, disableInstanceDiscovery: true };
options.retryOptions = { maxRetries: 0 };

function credential(kind, value) {
  switch (kind) {
    case "secret":
      return new ClientSecretCredential(TENANT, CLIENT, value, options);
    case "certificate":
      return new ClientCertificateCredential(TENANT, CLIENT, { certificatePath: value }, options);
    case "workload":
      return new WorkloadIdentityCredential({
        tenantId: TENANT,
        clientId: CLIENT,
        tokenFilePath: value,
        ...options,
      });
  }
  throw new Error(`${kind}?`);
}

async function ask(kind, value) {
  try {
    const { token } = await credential(kind, value).getToken("https://storage.azure.com/.default");
    console.log(JSON.parse(Buffer.from(token.split(".")[1], "base64url")).oid);
  } catch (e) {
    console.log(`refused: ${e.message.split("\n")[0]}`);
    process.exitCode = 1;
  }
}

async function post(path, words) {
  const form = new URLSearchParams();
  let type = "application/x-www-form-urlencoded";
  let method = "POST";
  for (const word of words) {
    const at = word.indexOf("=");
    const name = word.slice(0, at);
    const value = word.slice(at + 1);
    if (name === "TYPE") {
      type = value;
    } else if (name === "METHOD") {
      method = value;
    } else {
      form.append(name, value.startsWith("@") ? readFileSync(value.slice(1), "utf8") : value);
    }
  }
  const request = { method };
  if (method === "POST") {
    request.headers = { "content-type": type };
    request.body = form.toString();
  }
  const answer = await fetch(`https://${ENTRA}${path}`, request);
  const body = await answer.json();
  console.log(answer.status, body.error_codes ? body.error_codes[0] : "-", body.error ?? "-");
}

const [command, ...rest] = process.argv.slice(2);
await (command === "post" ? post(rest[0], rest.slice(1)) : ask(command, rest[0]));
