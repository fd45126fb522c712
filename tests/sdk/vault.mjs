// A Key Vault as the official client sees it, with a token of the broker: run as (a child of)
// amlshim's command.
//
//   node vault.mjs get VAULT-URL NAME
//
// The client follows the vault's challenge, and refuses one whose resource is not the vault's own
// domain.  Names below "localhost" are this machine, which not every libc's resolver knows.
// A refusal prints "refused: REASON" on stderr and ends with status 1.

import dns from "node:dns";

import { load } from "./deps.mjs";

const { ManagedIdentityCredential } = load("@azure/identity");
const { SecretClient } = load("@azure/keyvault-secrets");

const lookup = dns.lookup;
dns.lookup = (name, ...rest) => lookup(name.endsWith(".localhost") ? "127.0.0.1" : name, ...rest);

const [command, url, name] = process.argv.slice(2);
if (command !== "get" || !name) {
  console.error("usage: vault.mjs get VAULT-URL NAME");
  process.exit(2);
}
try {
  const retryOptions = { maxRetries: 0 };
  const client = new SecretClient(url, new ManagedIdentityCredential(), { retryOptions });
  console.log((await client.getSecret(name)).value);
} catch (error) {
  console.error(`refused: ${error.message}`);
  process.exitCode = 1;
}
