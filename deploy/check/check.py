"""What the files for deployment say of each other, and of hookbridge's metrics. Prints what does not agree.

    check.py agree                          compose, .env.example, manifests, unit, alerts and hookbridge.toml agree
    check.py chart FILE                     what the chart makes of its defaults is what deploy/kubernetes has
    check.py monitor FILE                   the chart's ServiceMonitor, of all values, finds its Service
    check.py metrics FILE                   alerts and dashboards name only metrics that FILE (/metrics) has
    check.py expressions                    a rules file with the expressions of the dashboards, for promtool
"""

import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
ENV = ROOT / ".env.example"
ALERTS = ROOT / "deploy/compose/alerts.yml"
ALERTS_TEST = ROOT / "deploy/compose/alerts_test.yml"
RUNBOOK = ROOT / "docs/operations.md"
DASHBOARDS = sorted((ROOT / "deploy/compose/grafana/dashboards").glob("*.json"))
MANIFESTS = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
CHART = ROOT / "deploy/helm/hookbridge"
UNIT = ROOT / "deploy/systemd/hookbridge.service"
PACKAGED = ROOT / "deploy/debian/hookbridge.toml"
CARGO = ROOT / "Cargo.toml"

findings = []


def finding(what):
    findings.append(what)


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)\s*(s|m)?", str(text)).groups()
    return int(number) * (60 if unit == "m" else 1)


def toml_value(file, key):
    found = re.search(rf'^{key} = "(.*)"', file.read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f"{file.relative_to(ROOT)}: no {key}")
    return found.group(1)


def variables():
    """Each variable of the compose file is in .env.example with the same default, and none is there for nothing."""
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE.read_text()))
    for bare in set(re.findall(r"\$\{(\w+)", COMPOSE.read_text())) - set(used):
        finding(f"docker-compose.yml: {bare} has no default")
    # Read by compose itself.
    used["COMPOSE_PROFILES"] = ""
    told = dict(line.split("=", 1) for line in ENV.read_text().splitlines() if line and not line.startswith("#"))
    for name in sorted(used.keys() | told.keys()):
        if used.get(name) != told.get(name):
            finding(f"{name}: {used.get(name)!r} in docker-compose.yml, {told.get(name)!r} in .env.example")


def services():
    compose = yaml.safe_load(COMPOSE.read_text())
    for name, service in compose["services"].items():
        image = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", service["image"])
        tag = image.rpartition(":")[2]
        if tag == image or tag == "latest" or "/" in tag:
            finding(f"docker-compose.yml: {name}: the image {image} has no tag")
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            if source.startswith(".") and not (ROOT / source).is_dir():
                finding(f"docker-compose.yml: {name}: expected a folder, got {source}: a mounted file stays the old one")
            if source.startswith(".") and (not isinstance(volume, dict) or volume["bind"]["create_host_path"]):
                finding(f"docker-compose.yml: {name}: {source}: expected bind.create_host_path: false")
        for port in service.get("ports", []):
            default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", port)
            if not default.startswith("127.0.0.1:") and not default.startswith("0.0.0.0:8080:"):
                finding(f"docker-compose.yml: {name}: {default} is open to others")
    level = compose["services"]["registry"]["environment"].get("APICURIO_RULES_GLOBAL_COMPATIBILITY")
    if level != "FULL_TRANSITIVE":
        finding(f"docker-compose.yml: registry: its compatibility level is {level}, expected FULL_TRANSITIVE")
    ours = compose["services"]["hookbridge"]
    if "depends_on" in ours:
        finding("docker-compose.yml: hookbridge: expected no depends_on: it takes events without Kafka and the registry")
    config = ROOT / "deploy/compose/hookbridge/hookbridge.toml"
    if seconds(ours["stop_grace_period"]) <= seconds(toml_value(config, "shutdown_timeout")):
        finding("docker-compose.yml: hookbridge: stop_grace_period is not above shutdown_timeout")


def manifests():
    config = ROOT / "deploy/kubernetes/hookbridge.toml"
    for file in MANIFESTS:
        for manifest in yaml.safe_load_all(file.read_text()):
            pod = manifest.get("spec", {}).get("template", {}).get("spec") if "spec" in manifest else None
            if pod and pod["terminationGracePeriodSeconds"] <= seconds(toml_value(config, "shutdown_timeout")):
                finding(f"{file.name}: terminationGracePeriodSeconds is not above shutdown_timeout")


def unit():
    """The unit waits longer than hookbridge takes, and allows the memory that docs/deploy.md#memory says."""
    settings = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if re.match(r"\w+=", line))
    if seconds(settings["TimeoutStopSec"]) <= seconds(toml_value(PACKAGED, "shutdown_timeout")):
        finding(f"{UNIT.name}: TimeoutStopSec is not above shutdown_timeout")
    in_flight = int(toml_value(PACKAGED, "max_in_flight_bytes").removesuffix(" MiB"))
    if int(settings["MemoryMax"].removesuffix("M")) < 2 * in_flight + 400:
        finding(f"{UNIT.name}: MemoryMax is not two bytes for each byte of max_in_flight_bytes, and 400 MiB")
    if f"${{file:/run/credentials/{UNIT.name}/" not in PACKAGED.read_text():
        finding(f"{PACKAGED.name}: no secret is read from the credentials of {UNIT.name}")


def versions():
    """What is packaged is of one version, and `cargo bench` measures what is shipped."""
    cargo = CARGO.read_text()
    version = re.search(r'^version = "(.*)"', cargo, re.MULTILINE).group(1)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    if chart["appVersion"] != version:
        finding(f"Chart.yaml: appVersion is {chart['appVersion']}, and the program's {version}")
    kustomization = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text())
    for image in kustomization["images"]:
        if image["newTag"] != version:
            finding(f"kustomization.yaml: {image['name']}: newTag is {image['newTag']}, and the program's version {version}")
    profiles = dict(re.findall(r"^\[profile\.(dist|bench)\]\n((?:\S+ = .*\n)+)", cargo, re.MULTILINE))
    if profiles["dist"].replace('inherits = "release"\n', "") != profiles["bench"]:
        finding("Cargo.toml: profile.bench is not profile.dist")
    rust = re.search(r"^ARG RUST_VERSION=(.*)", (ROOT / "Dockerfile").read_text(), re.MULTILINE).group(1)
    if f"RUST_VERSION: {rust}\n" not in (ROOT / ".github/workflows/release.yml").read_text():
        finding(f"release.yml: RUST_VERSION is not {rust}, as in Dockerfile")


def plain(thing):
    """Without what the chart adds by its nature: more labels, a hash of the configuration, names of defaults."""
    if isinstance(thing, list):
        return [plain(each) for each in thing]
    if not isinstance(thing, dict):
        return thing
    added = ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "app.kubernetes.io/component")
    added += ("helm.sh/chart", "checksum/config", "image", "imagePullPolicy", "env")
    kept = {key: plain(value) for key, value in thing.items() if key not in added}
    if kept.get("type") == "ClusterIP":
        del kept["type"]
    return kept


def chart(rendered):
    there = {(each["kind"], each["metadata"]["name"]): plain(each) for each in yaml.safe_load_all(Path(rendered).read_text())}
    config = there.pop(("ConfigMap", "hookbridge"))["data"]["hookbridge.toml"]
    if config != (ROOT / "deploy/kubernetes/hookbridge.toml").read_text():
        finding("the chart's hookbridge.toml is not that of deploy/kubernetes: copy it")
    # The namespace is Helm's, the examples are for people.
    files = [file for file in MANIFESTS if file.stem not in ("kustomization", "namespace") and ".example" not in file.name]
    wanted = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    for each in wanted:
        name = (each["kind"], each["metadata"]["name"])
        ours, theirs = plain(each), there.pop(name, None)
        if theirs != ours:
            finding(f"{' '.join(name)}: in deploy/kubernetes {json.dumps(ours)}, by the chart {json.dumps(theirs)}")
    for name in there:
        finding(f"{' '.join(name)}: only the chart has it")


def monitor(rendered):
    made = list(yaml.safe_load_all(Path(rendered).read_text()))
    [monitor] = [each for each in made if each["kind"] == "ServiceMonitor"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    found = [each for each in made if each["kind"] == "Service" and wanted <= each["metadata"]["labels"].items()]
    if [each["spec"]["ports"][0]["name"] for each in found] != [monitor["spec"]["endpoints"][0]["port"]]:
        finding(f"the ServiceMonitor finds {[each['metadata']['name'] for each in found]}")


def alerts():
    tests = ALERTS_TEST.read_text()
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert")
            if not name:
                continue
            if rule["labels"].get("severity") not in ["critical", "warning", "info"]:
                finding(f"alerts.yml: {name}: no severity")
            if not {"summary", "description"} <= rule["annotations"].keys():
                finding(f"alerts.yml: {name}: no summary or no description")
            if not re.search(rf"\b{name}\b", tests) and not any(
                re.search(pattern, name) for pattern in re.findall(r'alertname=~"([^"]*)"', tests)
            ):
                finding(f"alerts_test.yml: {name} is not tested")


def anchors(file):
    """The anchors of a Markdown file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def runbooks():
    """Every alert names a section of the runbook, and every section of an alert belongs to one that is there."""
    there = anchors(RUNBOOK) if RUNBOOK.exists() else set()
    names = set()
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert")
            if not name:
                continue
            names.add(name.lower())
            file, _, anchor = rule["annotations"].get("runbook", "").partition("#")
            if file != str(RUNBOOK.relative_to(ROOT)):
                finding(f"alerts.yml: {name}: no runbook in {RUNBOOK.relative_to(ROOT)}")
            elif anchor not in there:
                finding(f"{file}: no section #{anchor}, which {name} names")
    for anchor in sorted(there - names):
        if anchor.startswith("hookbridge") and anchor != "hookbridge":
            finding(f"{RUNBOOK.relative_to(ROOT)}: #{anchor} is no alert of alerts.yml")


def expressions():
    """(file and panel, expression) of every panel."""
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield f"{file.name}: {panel['title']}", target["expr"]


def dashboards():
    for file in DASHBOARDS:
        panels = json.loads(file.read_text())["panels"]
        if len({panel["id"] for panel in panels}) != len(panels):
            finding(f"{file.name}: an id of a panel stands twice")
        taken = {}
        for panel in panels:
            at = panel["gridPos"]
            for cell in [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]:
                if cell in taken or cell[0] >= 24:
                    finding(f"{file.name}: {panel['title']} lies over {taken.get(cell, 'the edge')}")
                    break
                taken[cell] = panel["title"]


def metrics(exported):
    there = set(re.findall(r"^# TYPE (\w+)", Path(exported).read_text(), re.MULTILINE))
    there |= {f"{name}_{part}" for name in there for part in ["bucket", "sum", "count"]}
    used = [(rule.get("alert") or rule["record"], rule["expr"])
            for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    for where, expression in [*used, *expressions()]:
        # Those with a colon are recorded in alerts.yml.
        for name in set(re.findall(r"\bhookbridge_\w+", expression)) - there:
            finding(f"{where}: there is no metric {name}")


def rules():
    """The dashboards' expressions as recording rules, with a value in place of each variable."""
    values = {"$__rate_interval": "5m", "$instance": ".*", "$source": ".*"}
    listed = []
    for number, (_, expression) in enumerate(expressions()):
        for variable, value in values.items():
            expression = expression.replace(variable, value)
        listed.append({"record": f"panel:{number}", "expr": expression})
    yaml.safe_dump({"groups": [{"name": "dashboards", "rules": listed}]}, sys.stdout, sort_keys=False)


def main():
    match sys.argv[1:]:
        case ["agree"]:
            for look in [variables, services, manifests, unit, versions, alerts, runbooks, dashboards]:
                look()
        case ["chart", rendered]:
            chart(rendered)
        case ["monitor", rendered]:
            monitor(rendered)
        case ["metrics", exported]:
            metrics(exported)
        case ["expressions"]:
            rules()
        case _:
            raise SystemExit(__doc__)
    for what in findings:
        print(what)
    sys.exit(1 if findings else 0)


main()
