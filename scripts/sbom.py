#!/usr/bin/env python3
"""sbom.py VERSION SRC ARCH=BUILD...: the SBOM of amlshim's binaries, SPDX 2.3 as JSON, on stdout.

SRC is where deps-fetch.sh unpacks (build/src). A BUILD directory has the stripped binary, amlshim,
and linked.c, which says what it was made of; each package there is one here, with its licence,
its package URL and the sums of its source files. What is not known here stops the run: a library
without a licence in the table below, a source without its .dsc.

SOURCE_DATE_EPOCH is the time of creation, COMMIT the state of amlshim's source ("" is left out);
the same input makes the same document, bit by bit.
"""

import glob
import hashlib
import json
import os
import re
import sys
import time
import uuid

# What of each is linked in, and its licence as SPDX says it: as declared by the source as a whole
# (debian/copyright), and as it is for what is used here.
KNOWN = {
    "musl": ("https://musl.libc.org/", "MIT AND BSD-2-Clause AND BSD-3-Clause AND ISC", None),
    "bearssl": ("https://bearssl.org/", "MIT", None),
    # ISC is lib/inet_ntop.c and inet_pton.c, for systems without; the others are tests and tools.
    "curl": ("https://curl.se/", "curl AND ISC", "curl"),
    "cjson": ("https://github.com/DaveGamble/cJSON", "MIT", None),
    "libyaml": ("https://github.com/yaml/libyaml", "MIT", None),
    # The library, lib/ and include/; the programs and examples are GPL-2.0 and not built.
    "fuse3": ("https://github.com/libfuse/libfuse", "LGPL-2.1-only AND GPL-2.0-only", "LGPL-2.1-only"),
    "expat": ("https://libexpat.github.io/", "MIT", None),
    # libgcc and the startup files; the exception lets them into a program of any licence.
    "gcc": ("https://gcc.gnu.org/", "GPL-3.0-or-later WITH GCC-exception-3.1", None),
    # Mozilla's list of roots; the tools around it are GPL-2.0+ and not used.
    "ca-certificates": ("https://tracker.debian.org/pkg/ca-certificates",
                        "GPL-2.0-or-later AND MPL-2.0", "MPL-2.0"),
}
PATCHES = {"curl": "scripts/patches/curl-*.patch"}
EMBEDDED = {"ca-certificates"}
NONE = "NOASSERTION"


def fail(text):
    sys.exit(f"sbom.py: {text}")


def digest(path, algorithm):
    with open(path, "rb") as f:
        return hashlib.new(algorithm, f.read()).hexdigest()


def spdx_id(*words):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words))


def upstream(version):
    version = re.sub(r"^\d+:", "", version)
    version = re.sub(r"-[^-]*$", "", version)
    return re.sub(r"\+(dfsg|ds).*$", "", version)


def host_suite():
    with open("/etc/os-release", encoding="utf-8") as f:
        found = re.search(r"^VERSION_CODENAME=(\S+)", f.read(), re.M)
    return found.group(1) if found else None


def purl(name, version, suite):
    quoted = version.replace("%", "%25").replace(":", "%3A").replace("+", "%2B")
    return f"pkg:deb/debian/{name}@{quoted}?arch=source" + (f"&distro={suite}" if suite else "")


def copyright_text(path, *stanzas):
    """Who holds it, by the first of these stanzas ("Files: ...") that a debian/copyright has."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for files in stanzas:
        found = re.search(r"^Files: *" + re.escape(files) + r"\n(?:(?!\n\n).)*?^Copyright: *(.*?)\n(?=\S|\n)",
                          text, re.M | re.S)
        if found:
            return "\n".join(line.strip() for line in found.group(1).strip().split("\n"))
    return NONE


class Document:
    def __init__(self, version):
        self.version = version
        self.packages, self.files, self.relations = {}, {}, []

    def relate(self, one, kind, other):
        row = {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
        if row not in self.relations:
            self.relations.append(row)

    def add_file(self, name, sums, kind, licence):
        ref = spdx_id("File", name)
        self.files[ref] = {
            "SPDXID": ref, "fileName": "./" + name, "fileTypes": [kind],
            "checksums": [{"algorithm": a, "checksumValue": v} for a, v in sums],
            "licenseConcluded": licence, "licenseInfoInFiles": [NONE], "copyrightText": NONE}
        return ref

    def add_library(self, src, name, version):
        known = "gcc" if re.fullmatch(r"gcc-\d+", name) else name
        if known not in KNOWN:
            fail(f"{name} is linked in, and has no licence in the table of scripts/sbom.py")
        homepage, declared, concluded = KNOWN[known]
        ref = spdx_id("Package", name, version)
        if ref in self.packages:
            return ref
        here = os.path.isdir(f"{src}/{name}")
        suite, holders = host_suite(), NONE
        if here:
            tag = f"{src}/{name}.suite"
            suite = open(tag, encoding="utf-8").read().strip() if os.path.exists(tag) else None
            holders = copyright_text(f"{src}/{name}/debian/copyright", "lib/*", "*")
        self.packages[ref] = {
            "SPDXID": ref, "name": "libgcc" if known == "gcc" else name,
            "versionInfo": upstream(version), "supplier": "Organization: Debian",
            "downloadLocation": NONE, "homepage": homepage, "filesAnalyzed": False,
            "sourceInfo": f"Debian source package {name} {version}",
            "licenseDeclared": declared, "licenseConcluded": concluded or declared,
            "copyrightText": holders,
            "primaryPackagePurpose": "OTHER" if name in EMBEDDED else "LIBRARY",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                              "referenceLocator": purl(name, version, suite)}]}
        if here:
            self.add_sources(src, name, version, ref)
        return ref

    def add_sources(self, src, name, version, ref):
        found = glob.glob(f"{glob.escape(src)}/download/{name}/*.dsc")
        if len(found) != 1:
            fail(f"{src}/download/{name} has no .dsc: run scripts/deps-fetch.sh anew")
        with open(found[0], encoding="utf-8") as f:
            text = f.read()
        if not re.search(rf"^Version: (\d+:)?{re.escape(version)}$", text, re.M):
            fail(f"{found[0]} is not of version {version}, which is linked in")
        files = {os.path.basename(found[0]): {a: digest(found[0], a) for a in ("sha1", "sha256")}}
        for field, algorithm in (("Checksums-Sha1", "sha1"), ("Checksums-Sha256", "sha256")):
            block = re.search(rf"^{field}:\n((?: .*\n)+)", text, re.M)
            for row in block.group(1).splitlines():
                value, _, file = row.split()
                files.setdefault(file, {})[algorithm] = value
        for file, sums in sorted(files.items()):
            path = f"{src}/download/{name}/{file}"
            if digest(path, "sha256") != sums["sha256"]:
                fail(f"{path} is not what its .dsc says")
            rows = [("SHA1", sums["sha1"]), ("SHA256", sums["sha256"])]
            kind = "ARCHIVE" if ".tar." in file and not file.endswith(".asc") else "TEXT"
            self.relate(ref, "GENERATED_FROM", self.add_file(file, rows, kind, NONE))
        for path in sorted(glob.glob(PATCHES.get(name, ""))):
            rows = [("SHA1", digest(path, "sha1")), ("SHA256", digest(path, "sha256"))]
            self.relate(self.add_file(path, rows, "SOURCE", "MIT"), "PATCH_APPLIED", ref)

    def add_binary(self, src, arch, build):
        path = f"{build}/amlshim"
        rows = [("SHA1", digest(path, "sha1")), ("SHA256", digest(path, "sha256"))]
        with open(f"{build}/linked.c", encoding="utf-8") as f:
            linked = re.findall(r'"(\S+) (\S+)\\n"', f.read())
        if not linked:
            fail(f"{build}/linked.c names nothing")
        libraries = [self.add_library(src, *pair) for pair in linked]
        parts = {p for ref in libraries for p in self.packages[ref]["licenseConcluded"].split(" AND ")}
        licence = " AND ".join(sorted(parts | {"MIT"}))
        ref = self.add_file(f"amlshim-{self.version}-linux-{arch}/amlshim", rows, "BINARY", licence)
        for (name, _), library in zip(linked, libraries):
            self.relate(ref, "CONTAINS" if name in EMBEDDED else "STATIC_LINK", library)
        return ref, licence


def document(version, src, builds):
    doc = Document(version)
    root = spdx_id("Package", "amlshim")
    doc.packages[root] = package = {
        "SPDXID": root, "name": "amlshim", "versionInfo": version, "supplier": NONE,
        "downloadLocation": NONE, "filesAnalyzed": False,
        "licenseDeclared": "MIT", "licenseConcluded": NONE,
        "copyrightText": "Copyright (c) the amlshim authors",
        "primaryPackagePurpose": "APPLICATION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": f"pkg:generic/amlshim@{version}"}]}
    if os.environ.get("COMMIT"):
        package["sourceInfo"] = f"git commit {os.environ['COMMIT']}"
    doc.relate("SPDXRef-DOCUMENT", "DESCRIBES", root)
    for arch, build in builds:
        binary, package["licenseConcluded"] = doc.add_binary(src, arch, build)
        doc.relate(root, "CONTAINS", binary)
    body = {"packages": list(doc.packages.values()), "files": list(doc.files.values()),
            "relationships": doc.relations}
    name = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"amlshim-{version}",
            "documentNamespace": f"https://spdx.org/spdxdocs/amlshim-{version}-{name}",
            "creationInfo": {"created": when, "creators": [f"Tool: amlshim-sbom-{version}"]}, **body}


if __name__ == "__main__":
    if len(sys.argv) < 4:
        fail("usage: sbom.py VERSION SRC ARCH=BUILD...")
    json.dump(document(sys.argv[1], sys.argv[2], [a.split("=", 1) for a in sys.argv[3:]]),
              sys.stdout, indent=2, ensure_ascii=False)
    print()
