// A prefix of a container as a directory tree, by the official @azure/storage-blob: what a job wrote,
// for diff -r.
//
//   node tree.mjs CONTAINER/PREFIX DIR
//
// BLOB_ENDPOINT and BLOB_KEY from the environment, as blob.mjs.  Blobs with hdi_isfolder become
// directories.

import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";

import { load } from "./deps.mjs";

const { BlobServiceClient, StorageSharedKeyCredential } = load("@azure/storage-blob");

const [path, target] = process.argv.slice(2);
const { BLOB_ENDPOINT: endpoint, BLOB_KEY: key } = process.env;
if (!path?.includes("/") || !target || !endpoint || !key) {
  console.error("usage: BLOB_ENDPOINT= BLOB_KEY= node tree.mjs CONTAINER/PREFIX DIR");
  process.exit(2);
}
const [container, prefix] = [path.split("/", 1)[0], path.slice(path.indexOf("/") + 1)];
const account = new URL(endpoint).pathname.split("/")[1];
const service = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(account, key));
const client = service.getContainerClient(container);
const folder = prefix.endsWith("/") ? prefix : `${prefix}/`;

const fetchOne = async ({ name, metadata }) => {
  const at = join(target, name.slice(folder.length));
  if (metadata?.hdi_isfolder === "true") {
    await mkdir(at, { recursive: true });
    return;
  }
  await mkdir(dirname(at), { recursive: true });
  await client.getBlobClient(name).downloadToFile(at);
};

await mkdir(target, { recursive: true });
let running = [];
for await (const blob of client.listBlobsFlat({ prefix: folder, includeMetadata: true })) {
  running.push(fetchOne(blob));
  if (running.length === 32) {
    await Promise.all(running);
    running = [];
  }
}
await Promise.all(running);
