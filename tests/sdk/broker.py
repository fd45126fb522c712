"""The job's side of the token broker, by the official Python clients.

  broker.py token [--client-id ID] [--default] [SCOPE]   whose token comes back, a claim a line
  broker.py blob CONTAINER/NAME                          writes, lists and reads a blob; BLOB_ENDPOINT

ManagedIdentityCredential unless --default: DefaultAzureCredential.  PYTHONPATH: scripts/python-sdk.sh.
"""

import base64
import json
import os
import sys
import time

from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

STORAGE = "https://storage.azure.com/.default"


def credential_of(args):
    client_id = args[args.index("--client-id") + 1] if "--client-id" in args else None
    if "--default" in args:
        return DefaultAzureCredential(managed_identity_client_id=client_id)
    return ManagedIdentityCredential(client_id=client_id)


def token(args):
    scopes = [word for word in args if "://" in word] or [STORAGE]
    answer = credential_of(args).get_token(*scopes)
    payload = answer.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if abs(claims["exp"] - answer.expires_on) > 1 or answer.expires_on <= time.time():
        raise ValueError("expires_on disagrees with the token")
    for name in ("aud", "appid", "oid", "idtyp"):
        print(name, claims.get(name, "-"))


def blob(args):
    from azure.storage.blob import BlobServiceClient

    container, name = args[-1].split("/", 1)
    service = BlobServiceClient(os.environ["BLOB_ENDPOINT"], credential=credential_of(args),
                                connection_verify=os.environ["SSL_CERT_FILE"])
    client = service.get_container_client(container)
    text = b"written by Python with a token of the broker\n"
    client.upload_blob(name, text, overwrite=True)
    if client.download_blob(name).readall() != text:
        raise ValueError("read back something else")
    print("wrote and read", *[found.name for found in client.list_blobs(name_starts_with=name)])


if __name__ == "__main__":
    try:
        {"token": token, "blob": blob}[sys.argv[1]](sys.argv[2:])
    except Exception as error:  # what the credential says of a refusal is what the test looks at
        print("refused:", type(error).__name__, error, file=sys.stderr)
        sys.exit(1)
