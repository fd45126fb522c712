// Blob storage as the official @azure/storage-blob sees it: sets scenes for amlshim, and judges
// what amlshim wrote.
//
//   node blob.mjs [--auth key|sas|bearer|none] COMMAND
//
//   mkcontainer NAME [blob|container]       the second word: anonymous reads allowed
//   rmcontainer NAME
//   put CONTAINER[/PREFIX] FILE...          files under their base names, directories as trees
//   get CONTAINER/NAME [FILE]               to FILE or stdout
//   list CONTAINER[/PREFIX]                 one line a blob: size, tab, name
//   stat CONTAINER/NAME                     properties, as JSON
//   set CONTAINER/NAME TYPE [KEY=VALUE...]  content type and metadata, replacing what there was
//   rm CONTAINER/NAME
//   sas account|CONTAINER|CONTAINER/NAME [PERMISSIONS [SECONDS]]
//       a query string without "?": an account SAS or a service SAS (--auth key), a user
//       delegation SAS (--auth bearer)
//
// From the environment: BLOB_ENDPOINT (https://localhost:PORT/ACCOUNT), and by --auth BLOB_KEY
// (default), BLOB_SAS, BLOB_TOKEN.  Node trusts the CA named by NODE_EXTRA_CA_CERTS.
// A refusal prints "STATUS CODE" on stderr and ends with status 1.

import { createWriteStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";

import { load } from "./deps.mjs";

const {
  AccountSASPermissions,
  AnonymousCredential,
  BlobSASPermissions,
  BlobServiceClient,
  ContainerSASPermissions,
  SASProtocol,
  StorageSharedKeyCredential,
  generateAccountSASQueryParameters,
  generateBlobSASQueryParameters,
} = load("@azure/storage-blob");

class UsageError extends Error {}

function need(name) {
  const value = process.env[name];
  if (!value) {
    throw new UsageError(`${name} is not set`);
  }
  return value;
}

function accountOf(endpoint) {
  const url = new URL(endpoint);
  return url.pathname.split("/")[1] || url.hostname.split(".")[0];
}

function credentialOf(auth, endpoint) {
  switch (auth) {
    case "key":
      return new StorageSharedKeyCredential(accountOf(endpoint), need("BLOB_KEY"));
    case "bearer": {
      const token = need("BLOB_TOKEN");
      return { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3600_000 }) };
    }
    case "sas":
    case "none":
      return new AnonymousCredential();
    default:
      throw new UsageError(`no such --auth: ${auth}`);
  }
}

function connect(auth) {
  const endpoint = need("BLOB_ENDPOINT").replace(/\/$/, "");
  const credential = credentialOf(auth, endpoint);
  const query = auth === "sas" ? `?${need("BLOB_SAS").replace(/^\?/, "")}` : "";
  // A test wants the first answer, not the third.
  const options = { retryOptions: { maxTries: 1 } };
  return { service: new BlobServiceClient(endpoint + query, credential, options), credential };
}

function split(path) {
  const slash = path.indexOf("/");
  return slash < 0 ? [path, ""] : [path.slice(0, slash), path.slice(slash + 1)];
}

function blobAt(service, path) {
  const [container, name] = split(path);
  if (!name) {
    throw new UsageError(`${path} names no blob`);
  }
  return service.getContainerClient(container).getBlockBlobClient(name);
}

async function* filesUnder(path, name) {
  if (!(await stat(path)).isDirectory()) {
    yield { path, name };
    return;
  }
  for (const entry of (await readdir(path)).sort()) {
    yield* filesUnder(join(path, entry), `${name}/${entry}`);
  }
}

const commands = {
  async mkcontainer({ service }, [name, access]) {
    await service.createContainer(name, access ? { access } : undefined);
  },

  async rmcontainer({ service }, [name]) {
    await service.deleteContainer(name);
  },

  async put({ service }, [target, ...files]) {
    const [container, prefix] = split(target);
    const client = service.getContainerClient(container);
    const directory = prefix && !prefix.endsWith("/") ? `${prefix}/` : prefix;
    for (const file of files) {
      for await (const { path, name } of filesUnder(file, basename(file))) {
        await client.getBlockBlobClient(directory + name).uploadFile(path);
      }
    }
  },

  async get({ service }, [path, file]) {
    const blob = blobAt(service, path);
    if (file) {
      await blob.downloadToFile(file);
      return;
    }
    const answer = await blob.download();
    await pipeline(answer.readableStreamBody, process.stdout, { end: false });
  },

  async list({ service }, [target]) {
    const [container, prefix] = split(target);
    const client = service.getContainerClient(container);
    for await (const blob of client.listBlobsFlat({ prefix: prefix || undefined })) {
      console.log(`${blob.properties.contentLength}\t${blob.name}`);
    }
  },

  async stat({ service }, [path]) {
    const p = await blobAt(service, path).getProperties();
    const { blobType, contentLength, contentType, etag, lastModified, metadata } = p;
    const md5 = p.contentMD5 && Buffer.from(p.contentMD5).toString("base64");
    const seen = { blobType, contentLength, contentType, etag, lastModified, metadata, md5 };
    console.log(JSON.stringify(seen, null, 2));
  },

  async set({ service }, [path, type, ...pairs]) {
    const blob = blobAt(service, path);
    await blob.setHTTPHeaders({ blobContentType: type });
    await blob.setMetadata(Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s, 2))));
  },

  async rm({ service }, [path]) {
    await blobAt(service, path).delete();
  },

  async sas({ service, credential, auth }, [scope, permissions, seconds = "3600"]) {
    const startsOn = new Date(Date.now() - 300_000);
    const expiresOn = new Date(Date.now() + Number(seconds) * 1000);
    const period = { startsOn, expiresOn, protocol: SASProtocol.Https };
    if (scope === "account") {
      const query = generateAccountSASQueryParameters(
        {
          ...period,
          permissions: AccountSASPermissions.parse(permissions ?? "rwdlac"),
          resourceTypes: "sco",
          services: "b",
        },
        credential,
      );
      console.log(query.toString());
      return;
    }
    const [containerName, blobName] = split(scope);
    const parse = blobName ? BlobSASPermissions.parse : ContainerSASPermissions.parse;
    const wanted = {
      ...period,
      containerName,
      blobName: blobName || undefined,
      permissions: parse.call(undefined, permissions ?? (blobName ? "r" : "rl")),
    };
    if (auth !== "bearer") {
      console.log(generateBlobSASQueryParameters(wanted, credential).toString());
      return;
    }
    const key = await service.getUserDelegationKey(startsOn, expiresOn);
    const account = accountOf(need("BLOB_ENDPOINT"));
    console.log(generateBlobSASQueryParameters(wanted, key, account).toString());
  },
};

async function main(args) {
  let auth = "key";
  if (args[0] === "--auth") {
    auth = args[1];
    args = args.slice(2);
  }
  const [command, ...rest] = args;
  if (!Object.hasOwn(commands, command ?? "") || rest.length === 0) {
    throw new UsageError(`commands with their arguments: ${Object.keys(commands).join(" ")}`);
  }
  await commands[command]({ ...connect(auth), auth }, rest);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`blob: ${error.message}`);
    process.exitCode = 2;
  } else {
    const code = error.code ?? error.details?.errorCode ?? error.name;
    console.error(error.statusCode ? `${error.statusCode} ${code}` : `blob: ${error.message}`);
    process.exitCode = 1;
  }
}
