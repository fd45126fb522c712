"""What the runs of sweep.py and table.py run: jobs with one input, one output, or both, on azsim.

A scenario is a dict: name, words, files (name: text), roles (processes that it has), good (statuses
of success), bound (seconds), outputs (name in the store: file with its bytes).  @DIR@ is the run's
directory, @OUT@ its place in the store.  The jobs end with WRONG_BYTES or JOB_FAILED.
"""

import os

WRONG_BYTES, JOB_FAILED = 41, 42

STORE = """\
name: store
type: azure_blob
account_name: %(AZSIM_ACCOUNT)s
container_name: data
endpoint: localhost:%(AZSIM_HTTPS_PORT)s
"""

INPUT = """\
inputs:
  data: {type: uri_folder, path: azureml://datastores/store/paths/in/data/, mode: %s}
"""

OUTPUT = """\
outputs:
  out: {type: uri_folder, path: azureml://datastores/store/paths/@OUT@/, mode: %s}
"""

# cmp: 1 is another byte, 2 an error.
READING = """\
same() { cmp -s "$1" "$2" || { [ $? = 1 ] && exit 41; cat "$1" >/dev/null; exit 42; }; }
same "$IN/large" %(data)s/large
same "$IN/deep/one" %(data)s/deep/one
"""

WRITING = """\
cp %(data)s/large "$OUT/big" || exit 42
mkdir "$OUT/sub" || exit 42
echo small >"$OUT/sub/tmp" || exit 42
mv "$OUT/sub/tmp" "$OUT/sub/small" || exit 42
"""

# A token of the broker for each of some requests to the store; they live for 2 s (tests/95-faults.bats),
# and one that ends under way is asked for anew.
ASKING = """\
give() {
	curl -sf -m 30 -H "secret: $MSI_SECRET" \\
	    "$MSI_ENDPOINT?resource=https://storage.azure.com/&api-version=2017-09-01" |
	    sed 's/.*"access_token":"\\([^"]*\\).*/\\1/'
}
use() {
	curl -sf -m 30 --cacert "$SSL_CERT_FILE" -o @DIR@/token -H "Authorization: Bearer $(give)" \\
	    -H "x-ms-version: 2021-12-02" %(store)s/data/in/data/small
}
for i in 1 2 3 4 5 6 7; do
	sleep 0.4
	use || use || exit 42
done
"""

# At the job's end a process has a file open; it is told to go, and the file goes out last.
ENDING = """\
exec 7>"$OUT/late" || exit 42
cat %(data)s/small >&7
sleep 60 &
"""

STATUS = """\
touch @DIR@/asks
for i in 1 2 3 4; do
	%(real)s healthcheck --live $AMLSHIM_PID >/dev/null || exit 42
	%(real)s status $AMLSHIM_PID >/dev/null || exit 42
done
"""

FLAGS = ["--job", "@DIR@/job.yml", "--datastore", "@DIR@/store.yml", "--root", "@DIR@/mnt",
         "--cache-dir", "@DIR@/cache"]
TIMES = ["--watchdog", "5s", "--io-timeout", "10s", "--start-timeout", "15s",
         "--flush-timeout", "10s"]


def with_job(name, words, roles, script, data, how_in=None, how_out=None, bound=40,
             made=None):
    env = os.environ
    head = "IN=$1 OUT=$2 AMLSHIM_PID=$PPID\ntouch @DIR@/began\n"
    outputs, inputs = "", ""
    arguments = ["''", "''"]
    if how_in:
        inputs = INPUT % how_in
        arguments[0] = "${{inputs.data}}"
    if how_out:
        outputs = OUTPUT % how_out
        arguments[1] = "${{outputs.out}}"
    job = "command: exec bash @DIR@/script %s\n%s%sidentity: {type: managed, client_id: %s}\n" % (
        " ".join(arguments), inputs, outputs, env["SECOND_ID"])
    files = {"job.yml": job, "store.yml": STORE % env,
             "script": head + script % dict(data=data, real=env["AMLSHIM"], store=env["AZSIM_ENDPOINT"]) + "touch @DIR@/done\n"}
    if how_out and not made:
        made = {"big": data + "/large", "sub/small": data + "/small"}
    return dict(name=name, words=words, files=files, roles=roles, good=[0], bound=bound,
                outputs=made or {}, runs_job=True)


def all_of(program, data):
    """By name."""
    who = ["--compute", os.environ["FIRST_ID"] + "," + os.environ["SECOND_ID"]]
    job = [program] + FLAGS + who + TIMES
    one, two = ["init", "child", "agent", "mount"], ["init", "child", "agent", "download", "upload"]
    made = [
        dict(with_job("plan", [program, "plan"] + FLAGS + who, ["init"], "", data, "ro_mount",
                      "rw_mount"), outputs={}, runs_job=False),
        dict(name="bare", words=[program, "--", "sh", "-c", "exit 7"], roles=["init", "child"],
             good=[7], bound=10),
        with_job("mounts", job, one, READING + WRITING, data, "ro_mount", "rw_mount"),
        with_job("copies", job, two, READING + WRITING, data, "download", "upload"),
        with_job("reads", job, one, READING, data, "ro_mount"),
        with_job("writes", job, one, WRITING, data, None, "rw_mount"),
        with_job("ends", job, one, ENDING, data, None, "rw_mount", made={"late": data + "/small"}),
        with_job("cached", job + ["--disk-cache", "64M"], one, READING * 2, data, "ro_mount"),
        with_job("tokens", job, one, ASKING, data, "ro_mount"),
        with_job("status", job, one, STATUS, data, "ro_mount"),
    ]
    return {s["name"]: s for s in made}
