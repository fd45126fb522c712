// The job's side of the token broker, by the official clients: run as (a child of) amlshim's command.
//
//   node broker.mjs token [--client-id ID] [--default] [--obo] [SCOPE]
//       whose token comes back, one claim a line: aud appid oid idtyp upn tid exp
//   node broker.mjs many N [--client-id ID] [--obo] [SCOPE]
//       N clients ask at once, each with an empty cache; prints how many got a token
//   node broker.mjs crowd N M URL [HEADER:VALUE...]
//       N clients at once, each with one connection of its own and M requests on it, one behind the
//       other; prints how many were answered with a token
//   node broker.mjs blob [--client-id ID] [--obo] CONTAINER/NAME
//       writes, lists and reads a blob with the token; BLOB_ENDPOINT is the account
//   node broker.mjs http METHOD URL [HEADER:VALUE...]
//       status, then the error's code; a token is never printed
//
// --default goes through DefaultAzureCredential, --obo through the on-behalf-of endpoint, as
// azure.ai.ml.identity does (Azure/azure-sdk-for-python
// sdk/ml/azure-ai-ml/azure/ai/ml/identity/_credentials/aml_on_behalf_of.py: GET $OBO_ENDPOINT?resource=R,
// access_token and expires_on); else ManagedIdentityCredential, which finds MSI_ENDPOINT itself.
// A refusal prints "refused: REASON" on stderr and ends with status 1.

import http from "node:http";

import { load } from "./deps.mjs";

const { DefaultAzureCredential, ManagedIdentityCredential } = load("@azure/identity");

const storageScope = "https://storage.azure.com/.default";

class UsageError extends Error {}

class OnBehalfOfCredential {
  async getToken(scope) {
    const endpoint = process.env.OBO_ENDPOINT;
    if (!endpoint) {
      throw new Error("OBO_ENDPOINT is not set");
    }
    const url = new URL(endpoint);
    url.searchParams.set("resource", scope.toString().replace(/\/\.default$/, ""));
    const answer = await fetch(url);
    const body = await answer.json();
    if (!answer.ok) {
      throw new Error(`${answer.status} ${body.error}: ${body.error_description}`);
    }
    return { token: body.access_token, expiresOnTimestamp: Number(body.expires_on) * 1000 };
  }
}

function parse(args) {
  const options = { words: [] };
  for (let i = 0; i < args.length; i++) {
    switch (args[i]) {
      case "--client-id":
        options.clientId = args[++i];
        break;
      case "--default":
      case "--obo":
        options[args[i].slice(2)] = true;
        break;
      default:
        options.words.push(args[i]);
    }
  }
  return options;
}

function credentialOf({ clientId, obo, default: chain }) {
  if (obo) {
    return new OnBehalfOfCredential();
  }
  if (chain) {
    return new DefaultAzureCredential({ managedIdentityClientId: clientId });
  }
  return clientId ? new ManagedIdentityCredential({ clientId }) : new ManagedIdentityCredential();
}

async function claimsOf(options, scope = storageScope) {
  const answer = await credentialOf(options).getToken(scope);
  const claims = JSON.parse(Buffer.from(answer.token.split(".")[1], "base64url"));
  const life = Math.round((answer.expiresOnTimestamp - Date.now()) / 1000);
  if (Math.abs(claims.exp * 1000 - answer.expiresOnTimestamp) > 1000) {
    throw new Error(`expires_on disagrees with the token by more than a second`);
  }
  return { ...claims, life };
}

const commands = {
  async token({ words, ...options }) {
    const claims = await claimsOf(options, words[0]);
    for (const name of ["aud", "appid", "oid", "idtyp", "upn", "tid", "life"]) {
      console.log(`${name} ${claims[name] ?? "-"}`);
    }
  },

  async many({ words: [n, scope], ...options }) {
    const all = Array.from({ length: Number(n) }, () => claimsOf(options, scope));
    console.log((await Promise.all(all)).filter((claims) => claims.oid).length);
  },

  async crowd({ words: [n, m, url, ...headers] }) {
    const pairs = headers.map((text) => [text.split(":", 1)[0], text.slice(text.indexOf(":") + 1)]);
    const ask = (agent) =>
      new Promise((resolve, reject) => {
        const request = http.get(url, { agent, headers: Object.fromEntries(pairs) }, (answer) => {
          let body = "";
          answer.on("data", (piece) => (body += piece));
          answer.on("end", () => resolve(answer.statusCode === 200 && body.includes("access_token")));
        });
        request.on("error", reject);
      });
    const one = async () => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      let served = 0;
      for (let i = 0; i < Number(m); i++) {
        served += Number(await ask(agent));
      }
      agent.destroy();
      return served;
    };
    const all = await Promise.all(Array.from({ length: Number(n) }, one));
    console.log(all.reduce((sum, served) => sum + served, 0));
  },

  async blob({ words: [path], ...options }) {
    const { BlobServiceClient } = load("@azure/storage-blob");
    const endpoint = process.env.BLOB_ENDPOINT;
    if (!endpoint || !path?.includes("/")) {
      throw new UsageError("blob needs BLOB_ENDPOINT and CONTAINER/NAME");
    }
    const [container, name] = [path.split("/", 1)[0], path.slice(path.indexOf("/") + 1)];
    const retryOptions = { maxTries: 1 };
    const service = new BlobServiceClient(endpoint, credentialOf(options), { retryOptions });
    const client = service.getContainerClient(container);
    const text = `written by ${process.pid} with a token of the broker\n`;
    await client.getBlockBlobClient(name).upload(text, Buffer.byteLength(text));
    const back = (await client.getBlockBlobClient(name).downloadToBuffer()).toString();
    if (back !== text) {
      throw new Error(`read back something else: ${back}`);
    }
    const names = [];
    for await (const blob of client.listBlobsFlat({ prefix: name })) {
      names.push(blob.name);
    }
    console.log(`wrote and read ${names.join(" ")}`);
  },

  async http({ words: [method, url, ...headers] }) {
    const pairs = headers.map((text) => [text.split(":", 1)[0], text.slice(text.indexOf(":") + 1)]);
    const answer = await fetch(url, { method, headers: pairs });
    const body = await answer.text();
    let code = "-";
    try {
      code = JSON.parse(body).error ?? "no error";
    } catch {
      code = body === "" ? "empty" : "no JSON";
    }
    console.log(`${answer.status} ${code}`);
  },
};

try {
  const [command, ...rest] = process.argv.slice(2);
  if (!Object.hasOwn(commands, command ?? "")) {
    throw new UsageError(`commands: ${Object.keys(commands).join(" ")}`);
  }
  await commands[command](parse(rest));
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`broker: ${error.message}`);
    process.exitCode = 2;
  } else {
    console.error(`refused: ${error.message}`);
    process.exitCode = 1;
  }
}
