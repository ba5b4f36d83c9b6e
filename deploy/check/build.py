"""build.py FOLDER: builds what the Dockerfile's stage `build` builds, without a container engine.

Reads COPY and RUN of that stage out of the Dockerfile, lays exactly those files into FOLDER/src, as far as .dockerignore
lets them through, and runs exactly those commands there. So a file that Cargo.toml needs and the Dockerfile does not copy
fails here as it does in `docker build`. What differs: this machine's compiler and libraries, and /out, which is
FOLDER/out. FOLDER/src/target stays from run to run: a first build takes about ten minutes, since the profile `dist` optimises
the program as a whole.
"""

import filecmp
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGE = "build"


def instructions():
    """(name, rest) of every instruction of the stage."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    inside = False
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name.upper() == "FROM":
            inside = re.search(r"\sAS\s+(\S+)$", rest, re.IGNORECASE) is not None and rest.split()[-1] == STAGE
        elif inside and name:
            yield name.upper(), rest.strip()


def let_through(path):
    """Whether .dockerignore lets `path`, at the top of the context, through."""
    taken = True
    for pattern in (ROOT / ".dockerignore").read_text().split("\n"):
        pattern = pattern.strip()
        if not pattern or pattern.startswith("#"):
            continue
        name = pattern.removeprefix("!")
        if "/" in name or ("*" in name and name != "*"):
            raise SystemExit(f".dockerignore: expected `*` and names at the top, got {pattern!r}: teach build.py to read it")
        if name in ("*", path):
            taken = pattern.startswith("!")
    return taken


def files(instruction):
    """(from, to) of every file that a COPY copies; `to` is relative to the folder that the stage works in."""
    *sources, target = instruction.split()
    for source in sources:
        if source.startswith("--"):
            raise SystemExit(f"COPY {instruction}: expected no options, got {source}: teach build.py to read it")
        if not let_through(source.split("/")[0]):
            raise SystemExit(f"COPY {instruction}: .dockerignore keeps {source} out")
        path = ROOT / source
        if not path.exists():
            raise SystemExit(f"COPY {instruction}: there is no {source}")
        into = Path(target) / path.name if target.endswith("/") and path.is_file() else Path(target)
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file():
                yield file, into / file.relative_to(path) if path.is_dir() else into


def lay(wanted, folder):
    """Makes `folder` have these files and no others, but its `target`. A file that is as it was keeps its time."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.rglob("*"), reverse=True):
        relative = old.relative_to(folder)
        if relative.parts[0] == "target":
            continue
        if old.is_dir() and not any(old.iterdir()):
            old.rmdir()
        elif not old.is_dir() and relative not in wanted:
            old.unlink()
    for to, source in wanted.items():
        there = folder / to
        if not there.exists() or not filecmp.cmp(source, there, shallow=False):
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, there)


def main():
    [folder] = map(Path, sys.argv[1:])
    folder = folder.resolve()
    src, out = folder / "src", folder / "out"
    wanted, commands, arguments = {}, [], {}
    for name, rest in instructions():
        if name == "COPY":
            wanted |= {to: source for source, to in files(rest)}
        elif name == "RUN":
            commands.append(re.sub(r"^(--\S+\s+)+", "", rest))
        elif name == "ARG":
            key, _, value = rest.partition("=")
            arguments[key] = value
        elif name != "WORKDIR":
            raise SystemExit(f"{name}: expected ARG, COPY, RUN or WORKDIR: teach build.py to read it")
    if not any("--locked" in command for command in commands):
        raise SystemExit("the Dockerfile builds without --locked")
    lay(wanted, src)
    shutil.rmtree(out, ignore_errors=True)
    settings = {k: v for k, v in os.environ.items() if not re.match(r"CARGO_(TARGET|BUILD|PROFILE)|RUSTFLAGS$", k)}
    settings |= arguments
    for command in commands:
        command = re.sub(r"(?<!\S)/out\b", str(out), command)
        print(command, flush=True)
        code = subprocess.run(["sh", "-c", command], cwd=src, env=settings).returncode
        if code != 0:
            raise SystemExit(f"exit code {code}")
    print(f"{out / 'hookbridge'}: {(out / 'hookbridge').stat().st_size} bytes")


main()
