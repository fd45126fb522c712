#!/usr/bin/env python3
"""check_spdx.py FILE DIR LINKED...: is FILE an SPDX 2.3 document, and true of the binaries in DIR?

Each LINKED is a file with what `amlshim version -v` of one binary says: all of that must be there.
Prints what is wrong, one a line, and exits with 1 if anything is. The rules are those of the
specification's clauses 6 to 11 for the elements that amlshim's SBOM has.
"""

import hashlib
import json
import re
import sys

RELATIONS = {"DESCRIBES", "CONTAINS", "STATIC_LINK", "GENERATED_FROM", "PATCH_APPLIED"}
PURPOSES = {"APPLICATION", "LIBRARY", "OTHER"}
FILE_TYPES = {"BINARY", "ARCHIVE", "SOURCE", "TEXT"}
LENGTHS = {"SHA1": 40, "SHA256": 64}
LICENCES = {"MIT", "curl", "ISC", "BSD-2-Clause", "BSD-3-Clause", "LGPL-2.1-only", "MPL-2.0",
            "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-or-later WITH GCC-exception-3.1"}
NEEDED = {
    "document": ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo",
                 "packages", "files", "relationships"),
    "package": ("SPDXID", "name", "versionInfo", "downloadLocation", "filesAnalyzed", "supplier",
                "licenseConcluded", "licenseDeclared", "copyrightText", "primaryPackagePurpose"),
    "file": ("SPDXID", "fileName", "fileTypes", "checksums", "licenseConcluded",
             "licenseInfoInFiles", "copyrightText"),
    "relationship": ("spdxElementId", "relationshipType", "relatedSpdxElement"),
}
wrong = []


def check(good, text):
    if not good:
        wrong.append(text)


def fields(what, element):
    name = element.get("SPDXID", json.dumps(element)[:80])
    for field in NEEDED[what]:
        check(element.get(field) not in (None, "", []), f"{what} {name}: no {field}")


def licence(element, field):
    value = element.get(field, "")
    if value != "NOASSERTION":
        for part in value.split(" AND "):
            check(part in LICENCES, f"{element['SPDXID']}: {field}: {part!r} is no licence")


def check_document(doc):
    fields("document", doc)
    check(doc["spdxVersion"] == "SPDX-2.3" and doc["dataLicense"] == "CC0-1.0", "version or licence")
    check(doc["SPDXID"] == "SPDXRef-DOCUMENT", "the document's SPDXID")
    check(re.fullmatch(r"https?://[^#]+", doc["documentNamespace"]), "documentNamespace")
    created = doc["creationInfo"]
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created.get("created", "")), "created")
    check(all(re.match(r"(Tool|Person|Organization): \S", c) for c in created["creators"]) and
          created["creators"], "creators")


def check_package(package):
    fields("package", package)
    check(package.get("filesAnalyzed") is False, f"{package['SPDXID']}: filesAnalyzed")
    check(package.get("primaryPackagePurpose") in PURPOSES, f"{package['SPDXID']}: purpose")
    check(re.match(r"(Person|Organization): \S|NOASSERTION$", package.get("supplier", "")),
          f"{package['SPDXID']}: supplier")
    licence(package, "licenseConcluded")
    licence(package, "licenseDeclared")
    for ref in package.get("externalRefs", []):
        check(ref["referenceCategory"] == "PACKAGE-MANAGER" and ref["referenceType"] == "purl" and
              re.fullmatch(r"pkg:(deb/debian|generic)/[a-z0-9.-]+@[\w.~%-]+(\?[\w=&.-]+)?",
                           ref["referenceLocator"]), f"{package['SPDXID']}: {ref}")


def check_file(file, directory):
    fields("file", file)
    check(file["fileName"].startswith("./"), f"{file['SPDXID']}: fileName")
    check(set(file["fileTypes"]) <= FILE_TYPES, f"{file['SPDXID']}: fileTypes")
    licence(file, "licenseConcluded")
    sums = {c["algorithm"]: c["checksumValue"] for c in file["checksums"]}
    check("SHA1" in sums and "SHA256" in sums, f"{file['SPDXID']}: SHA1 and SHA256 are needed")
    for algorithm, value in sums.items():
        check(re.fullmatch(r"[0-9a-f]{%d}" % LENGTHS.get(algorithm, 0), value),
              f"{file['SPDXID']}: {algorithm} {value}")
    if file["fileTypes"] == ["BINARY"]:
        with open(directory + "/" + file["fileName"], "rb") as f:
            check(hashlib.sha256(f.read()).hexdigest() == sums.get("SHA256"),
                  f"{file['fileName']} has another SHA256")


def check_relations(doc):
    ids = [e["SPDXID"] for e in doc["packages"] + doc["files"]]
    check(len(set(ids)) == len(ids), "an SPDXID is there twice")
    for ref in ids:
        check(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", ref), f"{ref} is no SPDXID")
    known, seen = set(ids) | {doc["SPDXID"]}, set()
    for row in doc["relationships"]:
        fields("relationship", row)
        check(row["relationshipType"] in RELATIONS, f"relationship {row['relationshipType']}")
        for end in (row["spdxElementId"], row["relatedSpdxElement"]):
            check(end in known, f"relationship with {end}, which is not there")
            seen.add(end)
    for ref in known - seen:
        check(False, f"{ref} is related to nothing")


def check_linked(doc, binary, lines):
    by_id = {p["SPDXID"]: p for p in doc["packages"]}
    of_binary = [by_id[r["relatedSpdxElement"]] for r in doc["relationships"]
                 if r["spdxElementId"] == binary["SPDXID"] and r["relatedSpdxElement"] in by_id]
    said = {p.get("sourceInfo") for p in of_binary}
    want = {f"Debian source package {line}" for line in lines}
    check(said == want, f"{binary['fileName']}: {sorted(said ^ want)}")
    sources = {r["spdxElementId"] for r in doc["relationships"] if r["relationshipType"] == "GENERATED_FROM"}
    for package in of_binary:
        installed = package["name"] in ("libgcc", "ca-certificates")
        check(installed or package["SPDXID"] in sources, f"{package['name']}: no source files")


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        doc = json.load(f)
    check_document(doc)
    for package in doc["packages"]:
        check_package(package)
    for file in doc["files"]:
        check_file(file, sys.argv[2])
    check_relations(doc)
    binaries = [f for f in doc["files"] if f["fileTypes"] == ["BINARY"]]
    check(len(binaries) == len(sys.argv) - 3, f"{len(binaries)} binaries")
    for binary, path in zip(binaries, sys.argv[3:]):
        with open(path, encoding="utf-8") as f:
            check_linked(doc, binary, f.read().splitlines()[1:])
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
