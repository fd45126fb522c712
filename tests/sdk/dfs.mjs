// A hierarchical account as the official @azure/storage-file-datalake sees it.
//
//   node dfs.mjs [--auth key|sas|bearer] COMMAND
//
//   put FILESYSTEM/PATH TEXT        create, append, flush
//   append FILESYSTEM/PATH TEXT     append and flush
//   get FILESYSTEM/PATH
//   mkdir FILESYSTEM/PATH
//   mv FILESYSTEM/PATH PATH [new]   in the filesystem; "new": nothing may be there
//   rm FILESYSTEM/PATH [all]        "all": with what is below
//   list FILESYSTEM[/PATH] [N]      all below, N a page: type, size, name
//   stat FILESYSTEM/PATH            properties, as JSON
//   access FILESYSTEM/PATH          owner, group, permissions, access control list, as JSON
//   chmod FILESYSTEM/PATH MODE
//   chown FILESYSTEM/PATH OWNER GROUP
//   acl FILESYSTEM/PATH LIST [all]  user::rwx,...; "all": with what is below
//   sas FILESYSTEM[/DIRECTORY] PERMISSIONS     a service SAS (--auth key)
//
// Environment and refusals as in blob.mjs; DFS_ENDPOINT (https://ACCOUNT.dfs.test.local:PORT: the
// client cannot rename where the account is part of the path) in place of BLOB_ENDPOINT.  Names below
// test.local are this machine.

import dns from "node:dns";

import { load } from "./deps.mjs";

const {
  AnonymousCredential,
  DataLakeServiceClient,
  DirectorySASPermissions,
  FileSystemSASPermissions,
  StorageSharedKeyCredential,
  generateDataLakeSASQueryParameters,
} = load("@azure/storage-file-datalake");

const { lookup } = dns;
dns.lookup = (name, ...rest) => lookup(name.endsWith(".test.local") ? "127.0.0.1" : name, ...rest);

class UsageError extends Error {}

function need(name) {
  const value = process.env[name];
  if (!value) {
    throw new UsageError(`${name} is not set`);
  }
  return value;
}

function connect(auth) {
  const endpoint = need("DFS_ENDPOINT").replace(/\/$/, "");
  const url = new URL(endpoint);
  const account = url.pathname.split("/")[1] || url.hostname.split(".")[0];
  const key = () => new StorageSharedKeyCredential(account, need("BLOB_KEY"));
  const token = () => {
    const text = need("BLOB_TOKEN");
    return { getToken: async () => ({ token: text, expiresOnTimestamp: Date.now() + 3600_000 }) };
  };
  const makers = { key, bearer: token, sas: () => new AnonymousCredential() };
  if (!makers[auth]) {
    throw new UsageError(`no such --auth: ${auth}`);
  }
  const credential = makers[auth]();
  const query = auth === "sas" ? `?${need("BLOB_SAS").replace(/^\?/, "")}` : "";
  const options = { retryOptions: { maxTries: 1 } };
  return { service: new DataLakeServiceClient(endpoint + query, credential, options), credential };
}

function split(path) {
  const slash = path.indexOf("/");
  return slash < 0 ? [path, ""] : [path.slice(0, slash), path.slice(slash + 1)];
}

function fileAt(service, path) {
  const [filesystem, name] = split(path);
  return service.getFileSystemClient(filesystem).getFileClient(name);
}

// The same requests, but for the root, that no file has the name of.
function pathAt(service, path) {
  const [filesystem, name] = split(path);
  return service.getFileSystemClient(filesystem).getDirectoryClient(name);
}

function parseAcl(text) {
  return text.split(",").map((entry) => {
    const [accessControlType, entityId, rights] = entry.split(":");
    const permissions = {
      read: rights[0] === "r",
      write: rights[1] === "w",
      execute: rights[2] === "x",
    };
    return { accessControlType, entityId, defaultScope: false, permissions };
  });
}

function parseMode(octal) {
  const digits = [...octal].map(Number);
  const rights = (n) => ({ read: !!(n & 4), write: !!(n & 2), execute: !!(n & 1) });
  const [owner, group, other] = digits.map(rights);
  return { owner, group, other, stickyBit: false, extendedAcls: false };
}

async function append(file, text, position) {
  const bytes = Buffer.from(text);
  await file.append(bytes, position, bytes.length);
  await file.flush(position + bytes.length);
}

const commands = {
  async put({ service }, [path, text]) {
    const file = fileAt(service, path);
    await file.create();
    await append(file, text, 0);
  },

  async append({ service }, [path, text]) {
    const file = fileAt(service, path);
    const { contentLength } = await file.getProperties();
    await append(file, text, contentLength);
  },

  async get({ service }, [path]) {
    process.stdout.write(await fileAt(service, path).readToBuffer());
  },

  async mkdir({ service }, [path]) {
    await pathAt(service, path).create({ conditions: { ifNoneMatch: "*" } });
  },

  async mv({ service }, [path, to, how]) {
    const conditions = how === "new" ? { ifNoneMatch: "*" } : undefined;
    await pathAt(service, path).move(to, { destinationConditions: conditions });
  },

  async rm({ service }, [path, how]) {
    await pathAt(service, path).delete(how === "all");
  },

  async list({ service }, [path, pageSize]) {
    const [filesystem, name] = split(path);
    const client = service.getFileSystemClient(filesystem);
    const pages = client
      .listPaths({ path: name || undefined, recursive: true })
      .byPage({ maxPageSize: Number(pageSize ?? 5000) });
    for await (const page of pages) {
      for (const item of page.pathItems) {
        console.log(`${item.isDirectory ? "d" : "f"}\t${item.contentLength}\t${item.name}`);
      }
    }
  },

  async stat({ service }, [path]) {
    const p = await pathAt(service, path).getProperties();
    const { contentLength, etag, isDirectory, owner, group, permissions } = p;
    console.log(JSON.stringify({ contentLength, etag, isDirectory, owner, group, permissions }));
  },

  async access({ service }, [path]) {
    const { owner, group, permissions, acl } = await pathAt(service, path).getAccessControl();
    const letters = ({ read, write, execute }) =>
      `${read ? "r" : "-"}${write ? "w" : "-"}${execute ? "x" : "-"}`;
    const mode = ["owner", "group", "other"].map((who) => letters(permissions[who])).join("");
    const list = acl.map((e) => `${e.accessControlType}:${e.entityId}:${letters(e.permissions)}`);
    console.log(JSON.stringify({ owner, group, mode, acl: list.join(",") }));
  },

  async chmod({ service }, [path, mode]) {
    await pathAt(service, path).setPermissions(parseMode(mode));
  },

  async chown({ service }, [path, owner, group]) {
    const client = pathAt(service, path);
    const { acl } = await client.getAccessControl();
    await client.setAccessControl(acl, { owner, group });
  },

  async acl({ service }, [path, list, how]) {
    const client = pathAt(service, path);
    if (how === "all") {
      const { counters } = await client.setAccessControlRecursive(parseAcl(list));
      console.log(JSON.stringify(counters));
    } else {
      await client.setAccessControl(parseAcl(list));
    }
  },

  async sas({ credential }, [path, permissions]) {
    const [fileSystemName, pathName] = split(path);
    const of = pathName ? DirectorySASPermissions : FileSystemSASPermissions;
    const values = {
      fileSystemName,
      permissions: of.parse(permissions),
      expiresOn: new Date(Date.now() + 3600_000),
    };
    if (pathName) {
      Object.assign(values, { pathName, isDirectory: true });
    }
    console.log(generateDataLakeSASQueryParameters(values, credential).toString());
  },
};

async function main(argv) {
  let auth = "key";
  if (argv[0] === "--auth") {
    auth = argv[1];
    argv = argv.slice(2);
  }
  const [name, ...words] = argv;
  if (!commands[name]) {
    throw new UsageError(`no such command: ${name}`);
  }
  await commands[name](connect(auth), words);
}

main(process.argv.slice(2)).catch((error) => {
  if (error.statusCode) {
    console.error(`${error.statusCode} ${error.code ?? error.details?.errorCode ?? "-"}`);
  } else {
    console.error(error instanceof UsageError ? error.message : error);
  }
  process.exitCode = 1;
});
