"""One run of amlshim with a rule of fault.h, and the judgement of it: for sweep.py and table.py.

A run must
  - end within its bound, with a documented status, never by a signal (nor a worker, but by our SIGKILL);
  - say in a line with "error" why, if the status is amlshim's own;
  - give the job no wrong byte, and leave in the store what the job has written; what is not there
    stands at a path that is printed, and the status is not 0;
  - leave no mount, no process, and no data but what it named.
"""

import os
import re
import shutil
import signal
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

from scenarios import JOB_FAILED, WRONG_BYTES

RULES = 128
OWN = {2, 120, 121, 122, 123, 125, 126, 127}	# amlshim's own statuses


class Page:
    """struct fault_page of fault.h"""

    def __init__(self, path):
        numbers = [0] * (1 + 3 * RULES)
        if os.path.exists(path):	# else it did not come so far
            with open(path, "rb") as f:
                numbers = struct.unpack("<%dq" % len(numbers), f.read())
        self.fired = numbers[1:1 + RULES]
        self.caller = numbers[1 + RULES:1 + 2 * RULES]
        self.matched = numbers[1 + 2 * RULES:]


class Run:
    """In a directory of its own below TOP."""

    serial = 0
    lock = threading.Lock()

    def __init__(self, top, scenario, rule):
        with Run.lock:
            Run.serial += 1
            serial = Run.serial
        self.scenario, self.rule = scenario, rule
        self.dir = "%s/r%d" % (top, serial)
        self.out = "faults%d/%d" % (os.getpid(), serial)
        self.complaints = []
        self.program = next(w for w in scenario["words"] if w.endswith("/amlshim"))

    def fill(self, text):
        return text.replace("@DIR@", self.dir).replace("@OUT@", self.out)

    def environment(self):
        e = os.environ
        return dict(PATH=e["PATH"], HOME="/", SSL_CERT_FILE=e["AZSIM_CA"], JOB_MARK=self.dir,
                    MSI_ENDPOINT="http://127.0.0.1:%s/MSI/auth" % e["AZSIM_PORT"],
                    MSI_SECRET=e["AZSIM_SECRET"], AMLSHIM_FAULT=self.fill(self.rule),
                    AMLSHIM_FAULT_COUNTS=self.dir + "/page")

    def go(self):
        os.mkdir(self.dir)
        for name, text in self.scenario.get("files", {}).items():
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(self.fill(text))
        words = [self.fill(w) for w in self.scenario["words"]]
        began = time.monotonic()
        with open(self.dir + "/stdout", "wb") as out, open(self.dir + "/stderr", "wb") as err:
            child = subprocess.Popen(words, env=self.environment(), stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=err, start_new_session=True)
            try:
                self.status = child.wait(self.scenario["bound"])
            except subprocess.TimeoutExpired:
                self.complaints.append("no end within %d s" % self.scenario["bound"])
                self.where()
                child.kill()
                child.wait()
                self.status = None
        self.seconds = time.monotonic() - began
        with open(self.dir + "/stderr", errors="replace") as f:
            self.stderr = f.read()
        self.page = Page(self.dir + "/page")
        self.judge()
        self.clean()
        return self

    # ---- what it leaves

    def processes(self):
        mark, found = b"JOB_MARK=" + self.dir.encode() + b"\0", []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % pid, "rb") as f:
                    if mark in f.read():
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def where(self):
        """What its processes wait for, to explain a hang."""
        for pid in self.processes():
            try:
                with open("/proc/%d/comm" % pid) as comm, open("/proc/%d/wchan" % pid) as wchan:
                    self.complaints.append("  %d %s: %s" % (pid, comm.read().strip(), wchan.read()))
            except OSError:
                pass

    def mounts(self):
        with open("/proc/self/mountinfo") as f:
            places = [line.split()[4] for line in f]
        return [p for p in places if p.startswith(self.dir + "/")]

    def in_store(self, name):
        url = "http://127.0.0.1:%s/_azsim/blob/%s/data/%s/%s" % (
            os.environ["AZSIM_PORT"], os.environ["AZSIM_ACCOUNT"], self.out, name)
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError:
            return None

    def named(self):
        """Paths below its directory that it has printed."""
        return [p.rstrip(".,:;'") for p in re.findall(re.escape(self.dir) + r"/[^\s']+", self.stderr)]

    # ---- the judgement

    def judge(self):
        say, status = self.complaints.append, self.status
        if status is None:
            pass
        elif status < 0:
            say("ended by signal %d" % -status)
        elif status == WRONG_BYTES:
            say("the job read wrong bytes")
        elif status not in OWN | {JOB_FAILED} | set(self.scenario["good"]):
            say("status %d" % status)
        if status in OWN and not re.search(r"\berror\b", self.stderr):
            say("status %d without a word" % status)
        for line in re.findall(r".*ended by signal (?!9\b)\d+.*", self.stderr):
            say("a crash: " + line)
        if self.scenario.get("runs_job"):
            self.judge_data()
        self.judge_rest()

    def judge_data(self):
        done = os.path.exists(self.dir + "/done")
        if self.status in self.scenario["good"] and not done:
            self.complaints.append("status %d, but the job did not run to its end" % self.status)
        for name, source in self.scenario["outputs"].items():
            with open(source, "rb") as f:
                want = f.read()
            got = self.in_store(name) if done else want
            if got == want:
                continue
            if self.status in self.scenario["good"]:
                self.complaints.append("%s is %s in the store, and the status is %d" % (
                    name, "missing" if got is None else "wrong", self.status))
            if not self.is_kept(name, want):
                self.complaints.append("%s is lost: no path to it is printed" % name)

    def is_kept(self, name, want):
        for path in self.named():
            for place in (path, os.path.join(path, name),
                          os.path.join(path, os.path.basename(name))):
                if os.path.isfile(place):
                    with open(place, "rb") as f:
                        if f.read() == want:
                            return True
        return False

    def judge_rest(self):
        left = self.mounts()
        if left:
            self.complaints.append("left mounted: %s" % left)
        deadline = time.monotonic() + 5
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        left = self.processes()
        if left:
            self.complaints.append("left running: %s" % left)
            self.where()
        named = self.named()
        for top, _, names in os.walk(self.dir + "/cache"):
            for name in names:
                place = os.path.join(top, name)
                if name.endswith(".journal") or "/.blocks" in place:
                    continue		# for the next run
                if not any(place == p or place.startswith(p + "/") for p in named):
                    self.complaints.append("left in the cache directory: %s" % place)

    def clean(self):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        for place in reversed(self.mounts()):
            subprocess.run(["umount", "-l", place], check=False)
        if not self.complaints and not os.environ.get("FAULT_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    # ---- for people

    def outcome(self):
        """In a word: what docs/FAULTS.md has in its cells."""
        if self.status in self.scenario["good"]:
            if "its successor no." in self.stderr:
                return "replaced"
            return "told" if self.stderr else "not seen"
        if self.status == JOB_FAILED:
            names = {"No space left on device": "ENOSPC", "Input/output error": "EIO",
                     "Cannot allocate memory": "ENOMEM", "Too many open files": "EMFILE",
                     "Interrupted system call": "EINTR"}
            for text, name in names.items():
                if text in self.stderr:
                    return name
            return "the job fails"
        return str(self.status)

    def culprit(self):
        """The function that made the call, as addr2line has it."""
        if not self.page.fired[0]:
            return "nothing failed"
        out = subprocess.run(["addr2line", "-fse", self.program, hex(self.page.caller[0])],
                             capture_output=True, text=True, check=False).stdout.split()
        return " ".join(out)

    def tell(self):
        lines = ["%s %s: status %s after %.1f s, failed %d times, last in %s" % (
            self.scenario["name"], self.rule, self.status, self.seconds, self.page.fired[0],
            self.culprit())]
        lines += ["  " + c for c in self.complaints]
        lines += ["  | " + line for line in self.stderr.splitlines()[:12]]
        return "\n".join(lines)
