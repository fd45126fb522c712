#!/usr/bin/python3
"""ADLS Gen1 by its official client (Debian: python3-azure-datalake-store).

  gen1.py ls|walk DIR           names, one a line ("walk": all files below)
  gen1.py put FILE NAME         with the client's own buffering
  gen1.py get NAME              its bytes to stdout
  gen1.py info NAME             type and length
  gen1.py mkdir|rm|rmtree NAME
  gen1.py mv FROM TO

GEN1_URL: https://HOST/ACCOUNT/, GEN1_TOKEN: a bearer token, REQUESTS_CA_BUNDLE: roots.  A refusal is
the name of the client's exception on stdout, and exit status 3.
"""

import logging
import os
import sys
import time

from azure.datalake.store import core, lib

logging.disable(logging.CRITICAL)

BLOCK = 3 << 20


def connect():
    token = lib.DataLakeCredential({
        "access": os.environ["GEN1_TOKEN"], "tokenType": "Bearer", "expiresIn": 3600,
        "time": time.time(), "resource": lib.DEFAULT_RESOURCE_ENDPOINT})
    fs = core.AzureDLFileSystem(token=token, store_name="unused")
    fs.azure.url = os.environ["GEN1_URL"]
    return fs


def put(fs, source, name):
    with open(source, "rb") as data, fs.open(name, "wb", blocksize=BLOCK) as out:
        while True:
            piece = data.read(1 << 20)
            if not piece:
                return
            out.write(piece)


def get(fs, name):
    with fs.open(name, "rb", blocksize=BLOCK) as data:
        while True:
            piece = data.read(1 << 20)
            if not piece:
                return
            sys.stdout.buffer.write(piece)


def run(fs, command, *args):
    if command in ("ls", "walk"):
        for name in sorted(getattr(fs, command)(args[0])):
            print(name)
    elif command == "info":
        about = fs.info(args[0])
        print(about["type"], about["length"])
    elif command == "rmtree":
        fs.rm(args[0], recursive=True)
    elif command in ("mkdir", "rm", "mv"):
        getattr(fs, command)(*args)
    else:
        {"put": put, "get": get}[command](fs, *args)


try:
    run(connect(), *sys.argv[1:])
except Exception as error:
    print(type(error).__name__)
    sys.exit(3)
