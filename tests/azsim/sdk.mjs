// What the official @azure/storage-blob sees of azsim: each command checks one thing, and fails
// with an assertion.
//
//   node sdk.mjs blocks|conditions|copy|names|pages|hns|ranges|checksums|metadata CONTAINER
//
// From the environment: BLOB_ENDPOINT, BLOB_KEY; NODE_EXTRA_CA_CERTS names the CA.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

import { load } from "../sdk/deps.mjs";

const { BlobServiceClient, StorageSharedKeyCredential } = load("@azure/storage-blob");

const endpoint = process.env.BLOB_ENDPOINT;
const account = new URL(endpoint).pathname.split("/")[1];
const credential = new StorageSharedKeyCredential(account, process.env.BLOB_KEY);
const service = new BlobServiceClient(endpoint, credential, { retryOptions: { maxTries: 1 } });

const code = (wanted) => (error) => {
  assert.equal(error.code ?? error.details?.errorCode ?? String(error.statusCode), wanted);
  return true;
};
const id = (n) => Buffer.from(`block-${String(n).padStart(6, "0")}`).toString("base64");
const md5 = (data) => createHash("md5").update(data).digest();

async function collect(pages) {
  const all = [];
  for await (const entry of pages) {
    all.push(entry);
  }
  return all;
}

const commands = {
  async blocks(container) {
    const blob = container.getBlockBlobClient("blocks");
    const parts = [randomBytes(70_000), randomBytes(1), randomBytes(300_000)];
    for (const [n, part] of parts.entries()) {
      await blob.stageBlock(id(n), part, part.length);
    }
    await assert.rejects(blob.stageBlock(Buffer.from("x").toString("base64"), "x", 1),
      code("InvalidBlobOrBlock"));
    await assert.rejects(blob.getProperties(), code("BlobNotFound"));
    const staged = await blob.getBlockList("all");
    assert.deepEqual(staged.uncommittedBlocks.map((b) => b.size), [70_000, 1, 300_000]);
    assert.deepEqual(staged.committedBlocks ?? [], []);
    await assert.rejects(blob.commitBlockList([id(0), id(9)]), code("InvalidBlockList"));
    await blob.commitBlockList([id(2), id(0), id(1)], { metadata: { round: "1" } });
    const whole = Buffer.concat([parts[2], parts[0], parts[1]]);
    assert.ok(whole.equals(await blob.downloadToBuffer()));
    // An edit: one new block among the old ones.
    await blob.stageBlock(id(1), "edit", 4);
    await blob.commitBlockList([id(2), id(1)]);
    const edited = Buffer.concat([parts[2], Buffer.from("edit")]);
    assert.ok(edited.equals(await blob.downloadToBuffer()));
    assert.deepEqual((await blob.getProperties()).metadata, {}, "an absent header erases");
    const list = await blob.getBlockList("committed");
    assert.deepEqual(list.committedBlocks.map((b) => b.name), [id(2), id(1)]);
  },

  async conditions(container) {
    const blob = container.getBlockBlobClient("conditions");
    const none = { conditions: { ifNoneMatch: "*" } };
    const first = await blob.upload("one", 3, none);
    await assert.rejects(blob.upload("two", 3, none), code("BlobAlreadyExists"));
    const second = await blob.upload("two", 3, { conditions: { ifMatch: first.etag } });
    assert.notEqual(first.etag, second.etag);
    const stale = { conditions: { ifMatch: first.etag } };
    await assert.rejects(blob.upload("three", 5, stale), code("ConditionNotMet"));
    await assert.rejects(blob.download(0, 3, stale), code("ConditionNotMet"));
    await assert.rejects(blob.commitBlockList([], stale), code("ConditionNotMet"));
    await assert.rejects(blob.delete(stale), code("ConditionNotMet"));
    await assert.rejects(blob.getProperties({ conditions: { ifNoneMatch: second.etag } }),
      code("ConditionNotMet"));
    await blob.delete({ conditions: { ifMatch: second.etag } });
    await assert.rejects(blob.upload("x", 1, { conditions: { ifMatch: "*" } }),
      code("ConditionNotMet"));
  },

  async copy(container) {
    const from = container.getBlockBlobClient("copy/from");
    const to = container.getBlockBlobClient("copy/to");
    const data = randomBytes(100_000);
    await from.upload(data, data.length, { metadata: { colour: "green" } });
    const poller = await to.beginCopyFromURL(from.url, { intervalInMs: 50 });
    const done = await poller.pollUntilDone();
    assert.equal(done.copyStatus, "success");
    assert.ok(data.equals(await to.downloadToBuffer()));
    assert.deepEqual((await to.getProperties()).metadata, { colour: "green" });
    const absent = container.getBlockBlobClient("copy/absent");
    await assert.rejects(to.beginCopyFromURL(absent.url), code("CannotVerifyCopySource"));
  },

  async names(container) {
    const names = ["a b", "ä/ö", "p%20q", "r+s", "t&u=v", "w?x", "y#z", "日本/語", "<tag>", "'q\"",
      "dir-a", "dir", "dir/x", "tab\there", "ctl\u0001", "UPPER", "upper", "~!@$()"];
    for (const name of names) {
      await container.getBlockBlobClient(name).upload(name, Buffer.byteLength(name));
    }
    const listed = await collect(container.listBlobsFlat());
    const order = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    assert.deepEqual(listed.map((b) => b.name).filter((name) => name !== "ctl\u0001"),
      [...names].filter((name) => name !== "ctl\u0001").sort(order));
    for (const name of names) {
      const got = await container.getBlockBlobClient(name).downloadToBuffer();
      assert.equal(got.toString(), name);
    }
  },

  async pages(container) {
    const names = [];
    for (let n = 0; n < 25; n++) {
      names.push(`d${n % 5}/f${String(n).padStart(2, "0")}`);
      await container.getBlockBlobClient(names[n]).upload("x", 1);
    }
    names.sort();
    for (const maxPageSize of [1, 3, 5000]) {
      const listed = [];
      for await (const page of container.listBlobsFlat().byPage({ maxPageSize })) {
        assert.ok(page.segment.blobItems.length <= maxPageSize);
        listed.push(...page.segment.blobItems.map((b) => b.name));
      }
      assert.deepEqual(listed, names);
      const prefixes = [];
      for await (const page of container.listBlobsByHierarchy("/").byPage({ maxPageSize })) {
        prefixes.push(...(page.segment.blobPrefixes ?? []).map((p) => p.name));
      }
      assert.deepEqual(prefixes, ["d0/", "d1/", "d2/", "d3/", "d4/"]);
    }
    const some = await collect(container.listBlobsFlat({ prefix: "d3/f1" }));
    assert.deepEqual(some.map((b) => b.name), ["d3/f13", "d3/f18"]);
  },

  async hns(container) {
    await container.getBlockBlobClient("one/two/three").upload("x", 1);
    await container.getBlockBlobClient("empty").upload("", 0, { metadata: { hdi_isfolder: "true" } });
    await container.getBlockBlobClient("file").upload("", 0);
    const all = await collect(container.listBlobsFlat({ includeMetadata: true }));
    assert.deepEqual(all.map((b) => b.name), ["empty", "file", "one", "one/two", "one/two/three"]);
    const directories = all.filter((b) => b.metadata?.hdi_isfolder === "true");
    assert.deepEqual(directories.map((b) => b.name), ["empty", "one", "one/two"]);
    const top = await collect(container.listBlobsByHierarchy("/"));
    assert.deepEqual(top.map((b) => `${b.kind} ${b.name}`),
      ["prefix empty/", "prefix one/", "blob file"]);
    const inner = await collect(container.listBlobsByHierarchy("/", { prefix: "one/" }));
    assert.deepEqual(inner.map((b) => b.name), ["one/two/"]);
    await assert.rejects(container.getBlockBlobClient("one").upload("x", 1),
      code("ResourceTypeMismatch"));
    await assert.rejects(container.getBlockBlobClient("file/below").upload("x", 1),
      code("ResourceTypeMismatch"));
    await assert.rejects(container.deleteBlob("one/two"), code("DirectoryIsNotEmpty"));
    await container.deleteBlob("one/two/three");
    await container.deleteBlob("one/two");
  },

  async ranges(container) {
    const data = randomBytes(200_000);
    const blob = container.getBlockBlobClient("ranges");
    await blob.upload(data, data.length);
    for (const [offset, count] of [[0, 1], [1, 99_999], [199_999, 1], [199_000, 5_000]]) {
      const answer = await blob.download(offset, count);
      const end = Math.min(offset + count, data.length);
      assert.equal(answer._response.status, 206);
      assert.equal(answer.contentRange, `bytes ${offset}-${end - 1}/${data.length}`);
      assert.ok(data.subarray(offset, end).equals(await blob.downloadToBuffer(offset, end - offset)));
    }
    await assert.rejects(blob.download(200_000, 1), code("InvalidRange"));
    await container.getBlockBlobClient("void").upload("", 0);
    await assert.rejects(container.getBlockBlobClient("void").download(0, 1), code("InvalidRange"));
  },

  async checksums(container) {
    const data = randomBytes(100_000);
    const blob = container.getBlockBlobClient("checksums");
    await blob.upload(data, data.length);
    assert.ok(md5(data).equals((await blob.getProperties()).contentMD5));
    const part = await blob.download(10, 1000, { rangeGetContentMD5: true });
    assert.ok(md5(data.subarray(10, 1010)).equals(part.contentMD5));
    assert.ok(md5(data).equals(part.blobContentMD5));
    // CRC-64/NVME of these nine bytes is 0xae8b14860a799888; it travels little-endian.
    const digits = container.getBlockBlobClient("digits");
    await digits.upload("123456789", 9);
    const crc = await digits.download(0, 9, { rangeGetContentCrc64: true });
    assert.equal(Buffer.from(crc.contentCrc64).toString("hex"), "8898790a86148bae");
    const wrong = { transactionalContentMD5: md5("other") };
    await assert.rejects(blob.stageBlock(id(0), "data", 4, wrong), code("Md5Mismatch"));
    const wrongCrc = { transactionalContentCrc64: new Uint8Array(8) };
    await assert.rejects(blob.stageBlock(id(0), "data", 4, wrongCrc), code("Crc64Mismatch"));
  },

  async metadata(container) {
    const blob = container.getBlockBlobClient("metadata");
    const blobHTTPHeaders = { blobContentType: "text/x-test", blobCacheControl: "no-cache" };
    await blob.upload("x", 1, { metadata: { a_b: "1", ab: "2" }, blobHTTPHeaders });
    const before = await blob.getProperties();
    assert.equal(before.contentType, "text/x-test");
    assert.equal(before.cacheControl, "no-cache");
    assert.deepEqual(before.metadata, { a_b: "1", ab: "2" });
    await blob.setMetadata({ c: "3" });
    const after = await blob.getProperties();
    assert.deepEqual(after.metadata, { c: "3" });
    assert.notEqual(after.etag, before.etag);
    assert.equal(after.contentType, "text/x-test");
    await blob.setHTTPHeaders({ blobContentType: "text/y" });
    assert.equal((await blob.getProperties()).contentType, "text/y");
    assert.equal((await blob.getProperties()).cacheControl, undefined);
    const [listed] = await collect(container.listBlobsFlat({ includeMetadata: true, prefix: "meta" }));
    assert.deepEqual(listed.metadata, { c: "3" });
    assert.equal(`"${listed.properties.etag}"`, (await blob.getProperties()).etag);
    await container.setMetadata({ owner: "us" });
    assert.deepEqual((await container.getProperties()).metadata, { owner: "us" });
  },
};

const [command, name] = process.argv.slice(2);
const container = service.getContainerClient(name);
await container.create();
await commands[command](container);
await container.delete();
assert.equal(await container.exists(), false);
