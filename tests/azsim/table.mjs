// A table of requests and of the answers that azsim has to give, on stdin: one row a line.
//
//   STATUS CODE METHOD PATH [WORD...]          '#' begins a comment; CODE "-": none
//
// PATH is sent as it stands.  Words:
//   http                 over plain HTTP; else over TLS
//   host=NAME            the Host header
//   key[=BASE64]         sign with SharedKey (BLOB_KEY, or this); account=NAME signs for another
//   date=SECONDS         the signature's date is so far from now
//   token=VARIABLE       bearer, from the environment
//   query=VARIABLE       append what the environment holds (a SAS)
//   body=TEXT            the body; chunked: without a length
//   NAME:VALUE           a header ('+' stands for a space); -NAME leaves a default one out
//   >NAME:TEXT           the answer must have this header, and TEXT in it; >body:TEXT in the body
//
// x-ms-version is 2021-12-02 unless given.  Rows run in order; each that differs is printed, and
// the status is then 1.  From the environment: HTTP and HTTPS, each HOST:PORT.

import { createHmac } from "node:crypto";
import http from "node:http";
import https from "node:https";
import { createInterface } from "node:readline";

const verbs = new Set(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]);

function parseRow(line) {
  const [status, code, method, path, ...words] = line.trim().split(/\s+/);
  if (!verbs.has(method)) {
    throw new Error(`no such row: ${line}`);
  }
  const row = { status: Number(status), code, method, path, headers: {}, expect: [] };
  row.headers["x-ms-version"] = "2021-12-02";
  for (const word of words) {
    const colon = word.indexOf(":");
    const equals = word.indexOf("=");
    if (word.startsWith(">")) {
      const text = word.slice(colon + 1).replaceAll("+", " ");
      row.expect.push([word.slice(1, colon).toLowerCase(), text]);
    } else if (word.startsWith("-")) {
      delete row.headers[word.slice(1)];
    } else if (colon > 0 && (equals < 0 || colon < equals)) {
      row.headers[word.slice(0, colon).toLowerCase()] = word.slice(colon + 1).replaceAll("+", " ");
    } else {
      const name = equals < 0 ? word : word.slice(0, equals);
      row[name] = equals < 0 ? true : word.slice(equals + 1);
    }
  }
  if (row.query) {
    row.path += (row.path.includes("?") ? "&" : "?") + process.env[row.query];
  }
  return row;
}

// https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
function sign(row, length) {
  const account = row.account ?? row.path.split(/[/?]/)[1];
  const key = row.key === true ? process.env.BLOB_KEY : row.key;
  const headers = row.headers;
  const date = new Date(Date.now() + Number(row.date ?? 0) * 1000).toUTCString();
  headers["x-ms-date"] ??= date;
  const plain = ["content-encoding", "content-language", "", "content-md5", "content-type"];
  const rest = ["if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"];
  const lines = [row.method, ...plain.map((name) => headers[name] ?? ""), ""];
  lines[3] = length > 0 ? String(length) : "";
  lines.push(...rest.map((name) => headers[name] ?? ""));
  const own = Object.keys(headers).filter((name) => name.startsWith("x-ms-")).sort();
  lines.push(...own.map((name) => `${name}:${headers[name]}`));
  const [path, query] = row.path.split("?");
  const pairs = new URLSearchParams(query ?? "");
  const names = [...new Set([...pairs.keys()])].sort();
  const resource = [`/${account}${path}`, ...names.map((n) => `${n}:${pairs.getAll(n).sort()}`)];
  const text = `${lines.join("\n")}\n${resource.join("\n")}`;
  const mac = createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64");
  headers.authorization = `SharedKey ${account}:${mac}`;
}

function send(row) {
  const body = row.body === undefined ? undefined : Buffer.from(row.body);
  const [host, port] = (row.http ? process.env.HTTP : process.env.HTTPS).split(":");
  const headers = row.headers;
  if (row.host) {
    headers.host = row.host;
  }
  if (!row.chunked && (body !== undefined || row.method === "PUT" || row.method === "POST")) {
    headers["content-length"] = String(body?.length ?? 0);
  }
  if (row.key) {
    sign(row, row.chunked ? 0 : body?.length ?? 0);
  }
  if (row.token) {
    headers.authorization = `Bearer ${process.env[row.token]}`;
  }
  return new Promise((resolve, reject) => {
    const options = { host, port, method: row.method, path: row.path, headers, family: 4 };
    const request = (row.http ? http : https).request(options, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve({ answer, text: Buffer.concat(chunks).toString() }));
      answer.on("error", reject);
    });
    request.on("error", reject);
    if (row.chunked) {
      request.setHeader("transfer-encoding", "chunked");
    }
    request.end(body);
  });
}

function differences(row, { answer, text }) {
  const found = [];
  const code = answer.headers["x-ms-error-code"] ?? "-";
  if (answer.statusCode !== row.status || (row.code !== "*" && code !== row.code)) {
    found.push(`got ${answer.statusCode} ${code}`);
  }
  if (row.code !== "-" && row.code !== "*" && row.method !== "HEAD" && answer.statusCode !== 304 &&
      !text.includes(`<Code>${row.code}</Code>`) && !text.includes(`"code":"${row.code}"`)) {
    found.push("the body does not name the code");
  }
  for (const [name, want] of row.expect) {
    const got = name === "body" ? text : answer.headers[name] ?? "(none)";
    if (!got.includes(want)) {
      found.push(`${name}: ${got}`);
    }
  }
  return found;
}

let rows = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const text = line.replace(/(^|\s)#.*/, "");
  if (!text.trim()) {
    continue;
  }
  const row = parseRow(text);
  const found = await send(row).then((got) => differences(row, got), (error) => [error.message]);
  rows++;
  if (found.length > 0) {
    console.log(`${text.trim()}\n    ${found.join("\n    ")}`);
    process.exitCode = 1;
  }
}
if (rows === 0) {
  throw new Error("an empty table");
}
