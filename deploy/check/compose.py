"""compose.py OUT [--prebuilt]: runs docker-compose.yml under load, breaks it in every way an operator meets, and counts.

Runs beside an engine of its own (engine.sh), in a copy of the project. Signed events are posted all the time; every
event that was answered 200 or 202 must be in Kafka at the end. Prints what each scenario found and a table, which it also
writes to OUT/compose.md. `--prebuilt`: the image is there, do not build it. Exit code 1 when something is wrong.
"""

import base64
import calendar
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "engine"))
from load import Event, Load, event_id  # noqa: E402

OUT = Path(sys.argv[1])
# How soon after its start the bridge has to take events, whatever else is down.
START_LIMIT = 10
PORT, ADMIN = 8080, 9464
# Between a sender's events.
PAUSE = 0.25
SENDERS = ["wegly", "wegly", "wegly", "whazing", "whazing"]

wrong = []
# Compose files besides the project's own, while a scenario needs them.
extra_files = []
SCENARIOS = []
# (scenario, how, seconds) from each start of the bridge to its first 200 or 202.
starts = []
# Events that were posted once, by a scenario itself.
probes = []


def say(words):
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


def expect(condition, words):
    if not condition:
        wrong.append(words)
        say(f"WRONG     {words}")


def run(*command, check=True, limit=300):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=os.environ)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{' '.join(command)}: not done after {limit} s") from None
    if check and done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def compose(*command, check=True, limit=300):
    files = [part for file in ["docker-compose.yml", *extra_files] for part in ("-f", file)]
    return run("docker", "compose", *files, *command, check=check, limit=limit)


def container(service):
    """Its id; of several that there were, the newest."""
    return run("docker", "ps", "--all", "--quiet", "--latest", "--filter",
               f"label=com.docker.compose.service={service}").stdout.strip()


def inspect(service, form):
    return run("docker", "inspect", "--format", form, container(service)).stdout.strip()


def pid_of(service):
    return int(inspect(service, "{{.State.Pid}}"))


def group_of(service):
    """The folder of its group of the kernel's (cgroup), of either version."""
    first = Path("/sys/fs/cgroup/memory")
    return (first if first.exists() else first.parent) / os.environ["GROUP"] / inspect(service, "{{.Id}}")


def metric(name):
    """The sum of its series, or None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return None
    values = re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.MULTILINE)
    return sum(map(float, values)) if values else None


def until(what, condition, limit=90, pause=0.2):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            expect(False, f"{load.scenario}: not within {limit} s: {what}")
            return False
        time.sleep(pause)
    return True


def spool_is_empty():
    return metric("hookbridge_spool_records") == 0


def settle():
    """Until all is well again, so that one scenario's trouble is not counted as the next one's."""
    until("events go to Kafka again", lambda: load.published_since(time.monotonic() - 2), 120)
    until("the spool is empty", spool_is_empty, 120)


def bridge_starts(how, since=None):
    """Measures from the container's start to its first 200 or 202."""
    began = since or time.monotonic()
    until(f"{how}: an event is accepted", lambda: load.accepted_since(began) is not None, 60, 0.05)
    accepted = load.accepted_since(began)
    if accepted is None:
        return
    started = inspect("hookbridge", "{{.State.StartedAt}}")
    moment = time.strptime(started[:19], "%Y-%m-%dT%H:%M:%S")
    wall = calendar.timegm(moment) + float("0" + re.match(r"\.\d+", started[19:]).group())
    took = accepted - (time.monotonic() - (time.time() - wall))
    say(f"          {how}: takes events {took:.1f} s after its start")
    starts.append((load.scenario, how, took))
    expect(took <= START_LIMIT, f"{how}: expected to take events within {START_LIMIT} s of its start, took {took:.1f} s")


def scenario(name):
    """A part of the run with a row of its own in the table."""
    def decorate(function):
        SCENARIOS.append((name, function))
        return function
    return decorate


# --- the scenarios ---------------------------------------------------------------------------------------------------

@scenario("`up --wait`, everything new")
def first_start():
    began = time.monotonic()
    compose("up", "--detach", "--wait", limit=400)
    say(f"          all healthy after {time.monotonic() - began:.0f} s")
    bridge_starts("up --wait", began)
    settle()


@scenario("nothing broken")
def quiet():
    time.sleep(8)


@scenario("Kafka under load: bodies of 200 kB")
def heavy():
    load.padding, load.pause = 200_000, 0.0
    time.sleep(12)
    load.padding, load.pause = 0, PAUSE
    settle()


def crash(service):
    """As a crash, not as `docker kill`: after that the engine leaves a container down."""
    before = pid_of(service)
    os.kill(before, signal.SIGKILL)
    until(f"{service} runs again", lambda: pid_of(service) not in (0, before), 60)
    if service == "hookbridge":
        bridge_starts("kill -9")
    else:
        time.sleep(3)
    settle()


def stop_processes(service, number):
    """SIGSTOP or SIGCONT to all of a container. `docker pause` does the same by a group of the kernel's, which not every
    kernel can freeze from within a namespace."""
    for pid in (group_of(service) / "cgroup.procs").read_text().split():
        try:
            os.kill(int(pid), number)
        except ProcessLookupError:
            pass


def hang(service, seconds):
    stop_processes(service, signal.SIGSTOP)
    time.sleep(seconds)
    stop_processes(service, signal.SIGCONT)
    settle()


@scenario("`kill -9` of Kafka")
def kill_kafka():
    crash("kafka")


@scenario("`kill -9` of the registry")
def kill_registry():
    crash("registry")


@scenario("`kill -9` of hookbridge")
def kill_hookbridge():
    crash("hookbridge")


@scenario("Kafka hangs for 15 s")
def hang_kafka():
    hang("kafka", 15)


@scenario("the registry hangs for 10 s")
def hang_registry():
    hang("registry", 10)


@scenario("hookbridge hangs for 8 s")
def hang_hookbridge():
    hang("hookbridge", 8)


@scenario("`stop`, then `start hookbridge`")
def stop():
    compose("stop", "hookbridge")
    expect(inspect("hookbridge", "{{.State.ExitCode}}") == "0", "stop: expected exit code 0")
    began = time.monotonic()
    compose("start", "hookbridge")
    bridge_starts("start hookbridge", began)
    settle()


@scenario("`down`, then `up --wait`")
def down_up():
    compose("down")
    began = time.monotonic()
    compose("up", "--detach", "--wait", limit=400)
    say(f"          all healthy after {time.monotonic() - began:.0f} s")
    bridge_starts("up --wait", began)
    settle()


@scenario("spooled events and `run --rm hookbridge spool drain`")
def drain():
    compose("stop", "kafka")
    time.sleep(4)
    compose("stop", "hookbridge")
    compose("start", "kafka")
    until("Kafka is healthy", lambda: inspect("kafka", "{{.State.Health.Status}}") == "healthy", 60)
    done = compose("run", "--rm", "hookbridge", "spool", "drain", check=False, limit=120)
    words = done.stdout + done.stderr
    expect(done.returncode == 0 and "left 0" in words, f"spool drain: exit code {done.returncode}: {words[-300:]}")
    began = time.monotonic()
    compose("start", "hookbridge")
    bridge_starts("start hookbridge", began)
    settle()


@scenario("secrets replaced by `mv` and in place, and SIGHUP")
def reload():
    for source in ["wegly", "whazing"]:
        for how in ["mv", "in place"]:
            old, new = load.secrets[source], f"{source}-{how.replace(' ', '-')}-{time.monotonic_ns()}"
            put(source, new, how)
            compose("kill", "--signal", "HUP", "hookbridge")
            body = load.body(source)
            load.secrets[source] = new
            remember(source, body)
            until(f"{source}, {how}: the new secret is accepted", lambda: load.post(source, body) in (200, 202), 10, 0.5)
            code = load.post(source, load.body(source), old)
            expect(code == 401, f"reload, {source}, {how}: expected the old secret to be refused with 401, got {code}")
    logs = compose("logs", "--no-log-prefix", "--since", "20s", "hookbridge").stdout
    lines = [line for line in logs.splitlines() if "reload" in line.lower()]
    say("          what it says: " + (lines[-1][:300] if lines else "nothing"))
    expect(any("wegly" in line or "whazing" in line for line in lines),
           "reload: expected a line that names the source whose secrets changed")


@scenario("a small volume, full")
def full_volume():
    # 64 MiB is the least that spool.min_free_bytes may be.
    small = Path("/mnt/small")
    small.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=112m,uid=65532,gid=65532,mode=700", "tmpfs", str(small))
    Path("small.yml").write_text(json.dumps({"services": {"hookbridge": {
        "environment": {"HOOKBRIDGE__SPOOL__MIN_FREE_BYTES": "64 MiB"}, "volumes": [f"{small}:/data"]}}}))
    extra_files.append("small.yml")
    compose("up", "--detach", "--no-deps", "hookbridge")
    bridge_starts("on the small volume")
    settle()
    stop_processes("kafka", signal.SIGSTOP)
    load.padding, load.pause = 300_000, 0.0
    refused = until("it refuses with 503", lambda: any(a.code == 503 for a in load.answers[-20:]), 60)
    say(f"          refused: {refused}, spooled {metric('hookbridge_spool_bytes')} bytes")
    time.sleep(3)
    load.padding, load.pause = 0, PAUSE
    stop_processes("kafka", signal.SIGCONT)
    settle()
    extra_files.remove("small.yml")
    compose("up", "--detach", "--no-deps", "hookbridge")
    bridge_starts("back on its own volume")
    settle()


DEAD = {"services": {"registry": {"entrypoint": ["sleep", "infinity"]}}}


@scenario("registry gone for good: `up -d`")
def gone_up():
    Path("dead.yml").write_text(json.dumps(DEAD))
    extra_files.append("dead.yml")
    compose("down")
    began = time.monotonic()
    done = compose("up", "--detach", check=False)
    expect(done.returncode == 0, f"up -d without a registry: exit code {done.returncode}: {done.stderr[-300:]}")
    bridge_starts("up -d", began)


@scenario("registry gone for good: `stop`, `start hookbridge`")
def gone_start():
    compose("stop", "hookbridge")
    began = time.monotonic()
    done = compose("start", "hookbridge", check=False)
    expect(done.returncode == 0, f"start without a registry: exit code {done.returncode}: {done.stderr[-300:]}")
    bridge_starts("start hookbridge", began)


@scenario("registry gone for good: `run --rm hookbridge spool drain`")
def gone_drain():
    compose("stop", "kafka")
    time.sleep(3)
    compose("stop", "hookbridge")
    compose("start", "kafka")
    until("Kafka is healthy", lambda: inspect("kafka", "{{.State.Health.Status}}") == "healthy", 60)
    done = compose("run", "--rm", "hookbridge", "spool", "drain", check=False, limit=120)
    words = done.stdout + done.stderr
    expect(done.returncode == 0 and "left 0" in words,
           f"spool drain without a registry: exit code {done.returncode}: {words[-300:]}")
    began = time.monotonic()
    compose("start", "hookbridge")
    bridge_starts("start hookbridge", began)


@scenario("registry gone for good: the machine restarts")
def gone_reboot():
    power_cut()
    began = time.monotonic()
    run("deploy/check/engine/dockerd.sh")
    bridge_starts("reboot", began)


@scenario("registry gone for good, and no schema id known")
def gone_new():
    until("the spool is empty", spool_is_empty, 120)
    compose("rm", "--stop", "--force", "hookbridge")
    run("docker", "volume", "rm", "hookbridge_hookbridge-data")
    began = time.monotonic()
    compose("up", "--detach")
    bridge_starts("up -d with a new volume", began)
    time.sleep(3)
    extra_files.remove("dead.yml")
    compose("up", "--detach", "--no-deps", "registry")
    settle()


@scenario("neither Kafka nor the registry: `up -d hookbridge`")
def alone():
    compose("down")
    began = time.monotonic()
    done = compose("up", "--detach", "hookbridge", check=False)
    expect(done.returncode == 0, f"up -d hookbridge: exit code {done.returncode}: {done.stderr[-300:]}")
    running = compose("ps", "--services").stdout.split()
    expect(running == ["hookbridge"], f"up -d hookbridge: expected only itself to start, got {running}")
    bridge_starts("up -d hookbridge", began)
    time.sleep(3)
    compose("up", "--detach", "--wait", limit=400)
    settle()


@scenario("files of events, read by a consumer")
def media():
    for place in ["hookbridge_hookbridge-media", "/srv/hookbridge-media"]:
        if place.startswith("/"):
            Path(place).mkdir(parents=True, exist_ok=True)
            os.chown(place, 65532, 65532)
            os.environ["HOOKBRIDGE_MEDIA"] = place
            compose("up", "--detach", "--no-deps", "hookbridge")
            bridge_starts("with HOOKBRIDGE_MEDIA", None)
        event = json.loads(load.templates["whazing"])
        content = os.urandom(700_000)
        event |= {"mediaBase64": base64.b64encode(content).decode(), "check": str(time.monotonic_ns()), "mediaType": "image"}
        body = json.dumps(event).encode()
        load.deliver("whazing", body)
        settle()
        records = [line for line in tail("whazing.*") if f'"{event_id("whazing", body)}"' in line]
        found = re.search(r"file://(/media/[^\"]+)", records[0] if records else "")
        expect(found, f"media in {place}: expected a record with file:///media/..., got {records[:1] and records[0][:300]}")
        if found:
            read = subprocess.run(
                ["docker", "run", "--rm", "--user", "1000:1000", "--read-only", "--volume", f"{place}:/media:ro",
                 "hookbridge-check/java:local", "cat", found.group(1)], capture_output=True)
            expect(read.stdout == content, f"media in {place}: a consumer reads {len(read.stdout)} bytes of {len(content)}: "
                                           f"{read.stderr.decode()[-200:]}")
    del os.environ["HOOKBRIDGE_MEDIA"]
    compose("up", "--detach", "--no-deps", "hookbridge")
    settle()


@scenario("Prometheus with its rules")
def prometheus():
    compose("--profile", "observe", "up", "--detach", "--wait", "--no-deps", "prometheus")
    address = "http://127.0.0.1:9090/api/v1"
    until("Prometheus reads hookbridge", lambda: '"health":"up"' in
          urllib.request.urlopen(f"{address}/targets", timeout=5).read().decode(), 40)
    rules = json.load(urllib.request.urlopen(f"{address}/rules", timeout=5))["data"]["groups"]
    expect(rules and all(rule["health"] != "err" for group in rules for rule in group["rules"]),
           "Prometheus: expected its rules to be read without errors")
    compose("--profile", "observe", "rm", "--stop", "--force", "prometheus")


# --- around them -----------------------------------------------------------------------------------------------------

def put(source, secret, how="in place"):
    """A secret's file as people replace it."""
    file = Path("secrets/hookbridge") / source
    if how == "mv":
        new = file.with_name(f".{source}.new")
        new.write_text(secret + "\n")
        new.chmod(0o444)
        new.rename(file)
    else:
        file.touch()
        file.chmod(0o644)
        file.write_text(secret + "\n")


def remember(source, body):
    """An event that is posted without `deliver`: it may or may not be accepted."""
    load.events.append(Event(event_id(source, body), load.scenario))
    probes.append(load.events[-1])


def prepare():
    """What docs/deploy.md has one type before the first `up`."""
    Path("secrets").chmod(0o700)
    for folder in ["secrets/hookbridge", "secrets/grafana"]:
        Path(folder).chmod(0o755)
    for source, secret in load.secrets.items():
        put(source, secret)
    other = subprocess.run(["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "cat",
                            "secrets/hookbridge/wegly"], capture_output=True, text=True)
    expect(other.returncode != 0, "another user of this machine reads secrets/hookbridge/wegly")


def samples():
    """A signed body of each source, by hookbridge itself."""
    for source, event in [("wegly", "deal.won"), ("whazing", "message.received")]:
        shown = run("docker", "run", "--rm", "--network", "none", "hookbridge:local", "send", source, event, "--secret", "x",
                    "--seed", "1", "--dry-run").stdout
        load.templates[source] = re.search(r"--data-raw '(.*)' 'http", shown, re.DOTALL).group(1).replace("'\\''", "'")


def tail(pattern):
    topics = compose("exec", "-T", "hookbridge", "hookbridge", "tail", pattern, "--headers", "--format", "json", limit=180)
    return topics.stdout.splitlines()


def power_cut():
    """Every process but this script's own is killed at once, and what was mounted for containers is gone."""
    mine, pid = {1}, os.getpid()
    while pid > 1:
        mine.add(pid)
        pid = int(re.search(r"^PPid:\t(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE).group(1))
    others = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and int(p.name) not in mine]
    for pid in others:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    time.sleep(0.5)
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in reversed(mounts):
        if place.startswith(("/var/lib/docker/", "/run/docker/")):
            subprocess.run(["umount", "--lazy", place], check=False)
    run("rm", "-rf", "/run/docker", "/run/containerd")


def memory():
    """Whether a service was ever out of memory, and that Kafka's tools do not get the server's heap."""
    for service in ["kafka", "registry", "hookbridge"]:
        killed = inspect(service, "{{.State.OOMKilled}}")
        expect(killed == "false", f"{service}: out of memory")
    inherited = compose("exec", "-T", "kafka", "env").stdout
    expect("KAFKA_HEAP_OPTS" not in inherited, "KAFKA_HEAP_OPTS is inherited by `exec`")


class Watch:
    """Reads each second how much memory the services have, and whether the kernel killed one for it."""

    def __init__(self):
        self.peak = Counter()
        self.killed = set()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self):
        while True:
            time.sleep(1)
            for service in ["kafka", "registry", "hookbridge"]:
                try:
                    folder = group_of(service)
                    used = (folder / "memory.stat").read_text()
                    used = int(re.search(r"^(?:total_rss|anon) (\d+)", used, re.MULTILINE).group(1))
                    self.peak[service] = max(self.peak[service], used)
                    said = [folder / name for name in ["memory.oom_control", "memory.events"] if (folder / name).exists()]
                    killed = re.search(r"^oom_kill (\d+)", said[0].read_text(), re.MULTILINE)
                    if killed and int(killed.group(1)) and service not in self.killed:
                        self.killed.add(service)
                        expect(False, f"{service}: the kernel killed a process of it, out of memory")
                except (OSError, IndexError, AttributeError, SystemExit):
                    pass


def count():
    """Every accepted event against Kafka."""
    settle()
    expect(load.end(60), "senders: some events were never accepted")
    until("the spool is empty", spool_is_empty, 120)
    kept = Counter()
    for pattern in ["wegly.*", "whazing.*"]:
        for line in tail(pattern):
            record = json.loads(line)
            if not record["topic"].endswith("-latest"):
                kept[record["headers"].get("ce_id")] += 1
    ids = Path("ids.txt")
    accepted = [event.id for event in load.events if event.accepted]
    ids.write_text("\n".join(accepted))
    audit = subprocess.run(["docker", "compose", "exec", "-T", "hookbridge", "hookbridge", "audit", "-"],
                           input=ids.read_text(), capture_output=True, text=True, timeout=180)
    say("audit:\n" + audit.stdout[-2000:] + audit.stderr[-500:])
    expect(audit.returncode == 0, f"audit: exit code {audit.returncode}")
    return kept


def row(name, began, ended, kept):
    events = [event for event in load.events if event.scenario == name]
    answers = [answer for answer in load.answers if answer.scenario == name]
    codes = Counter(answer.code for answer in answers)
    others = {str(code): number for code, number in codes.items() if code not in (200, 202)}
    moments = [began] + sorted(a.ended for a in load.answers if began <= a.ended <= ended and a.code in (200, 202)) + [ended]
    return {
        "scenario": name, "sent": len([e for e in events if e not in probes]), "200": codes[200], "202": codes[202],
        "other": ", ".join(f"{code}: {number}" for code, number in sorted(others.items())) or "0",
        "lost": sum(1 for event in events if event.accepted and not kept[event.id]),
        "duplicates": sum(max(0, kept[event.id] - 1) for event in events),
        "longest": f"{max(b - a for a, b in zip(moments, moments[1:])):.1f} s",
    }


def table(spans, kept):
    rows = [row(name, began, ended, kept) for name, began, ended in spans]
    total = {"scenario": "all", "other": "", "longest": ""}
    for key in ["sent", "200", "202", "lost", "duplicates"]:
        total[key] = sum(r[key] for r in rows)
    heads = {"scenario": "scenario", "sent": "sent", "200": "200", "202": "202", "other": "other answers", "lost": "lost",
             "duplicates": "duplicates", "longest": "longest without 200/202"}
    lines = ["| " + " | ".join(heads.values()) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(str(r[key]) for key in heads) + " |" for r in [*rows, total]]
    expect(total["lost"] == 0, f"lost: expected 0, got {total['lost']}")
    return "\n".join(lines)


load = Load(PORT, {"wegly": "check-wegly", "whazing": "check-whazing"}, {}, pause=PAUSE)


def main():
    began = time.monotonic()
    prepare()
    if "--prebuilt" not in sys.argv:
        # What is tried here does not depend on it, and it takes minutes.
        done = compose("build", "--build-arg", "PROFILE=release", limit=3000)
        (OUT / "build.log").write_text(done.stdout + done.stderr)
        say(f"build: {time.monotonic() - began:.0f} s")
    samples()
    watch = Watch()
    spans = []
    chosen = [a for a in sys.argv[2:] if not a.startswith("-")]
    try:
        for number, (name, function) in enumerate(SCENARIOS):
            if chosen and number and not any(word in function.__name__ for word in chosen):
                continue
            load.scenario = name
            if not load.threads:
                load.start(SENDERS)
            since = time.monotonic()
            function()
            spans.append((name, since, time.monotonic()))
            say(f"{'ok' if not wrong else 'done':9} {name} ({spans[-1][2] - since:.0f} s)")
        memory()
        kept = count()
        words = table(spans, kept)
    finally:
        logs = compose("logs", "--timestamps", "--no-color", check=False)
        (OUT / "services.log").write_text(logs.stdout + logs.stderr)
        with open(OUT / "answers.tsv", "w") as file:
            for a in load.answers:
                file.write(f"{a.began:.3f}\t{a.ended:.3f}\t{a.code}\t{a.scenario}\n")
    words += "\n\nMost memory (without caches): " + ", ".join(
        f"{service} {peak // 2**20} MiB" for service, peak in sorted(watch.peak.items()))
    words += "\n\n" + "\n".join(f"- {how}: {took:.1f} s from its start to the first 200 or 202 ({name})"
                                for name, how, took in starts)
    (OUT / "compose.md").write_text(words + "\n")
    print(words)
    say(f"{time.monotonic() - began:.0f} s in all")
    for what in wrong:
        print(f"WRONG     {what}")
    sys.exit(1 if wrong else 0)


main()
