"""Every recipe of README.md, run as it stands there.

A comment above a block of code, ``<!-- test: KIND -->``, says how it is tried. Only names change:
``example.com`` becomes an origin of the test, and fixed ports become free ones.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.origins import Authority, HttpOrigin, LoopThread, Visit, http_origin
from tests.real.conftest import Curl, StartProxy
from tests.real.git_backend import git_backend
from tests.real.processes import ProxyProcess, clean_environment, running, wait_until
from tests.real.ssh_server import ssh_server

pytestmark = [pytest.mark.real, pytest.mark.slow]

README = Path(__file__).parents[2] / "README.md"
RECIPE_SECONDS = 30
PASSWORD = "correct horse"
PAGE = b"The page.\n"

_BLOCK = re.compile(r"<!-- test: (\w+) -->\n```(?:sh|python)\n(.*?)```\n", re.DOTALL)


def blocks(kind: str) -> list[str]:
    """The blocks of one kind, in order."""
    found = [text for name, text in _BLOCK.findall(README.read_text()) if name == kind]
    assert found, f"README.md has no block for the test {kind}"
    return found


def block(kind: str) -> str:
    """The one block of a kind."""
    [text] = blocks(kind)
    return text


async def page(visit: Visit) -> None:
    """What both origins have at ``/``."""
    visit.answer(PAGE, "text/plain")


@dataclass(frozen=True)
class Desk:
    """A user's working directory, with origins in place of the world."""

    folder: Path
    plain: HttpOrigin
    secure: HttpOrigin
    authority: Authority

    def local(self, text: str, proxy: ProxyProcess | None = None) -> str:
        """`text` with the names of the README made those of this test."""
        names = {
            "https://api.example.com": self.secure.url,
            "https://example.com": self.secure.url,
            "http://example.com": self.plain.url,
            "api.example.com:443": self.secure.name,
        }
        if proxy is not None:
            names |= dict.fromkeys(("proxy.example:3128", "127.0.0.1:8080"), proxy.name)
            names |= {"127.0.0.1 8080": proxy.name.replace(":", " ")}
        for name, local in names.items():
            text = text.replace(name, local)
        return text

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command here and return what it prints; it must end with 0."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            # Without a terminal, so that what asks for a password reads it from `stdin`.
            start_new_session=True,
            input=stdin,
            capture_output=True,
            env=self._environment(),
            text=True,
            timeout=RECIPE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def shell(self, text: str, stdin: str = "") -> str:
        """Run lines of a shell; the first that fails ends them."""
        return self.run("sh", "-e", "-c", text, stdin=stdin)

    def _environment(self) -> dict[str, str]:
        """A new user's, who trusts the test's authority and has `underpass` at hand."""
        own = Path(sys.executable).parent
        kept = clean_environment()
        ca_file = str(self.authority.ca_file)
        return {
            **kept,
            "PATH": f"{own}:{kept['PATH']}",
            "HOME": str(self.folder),
            "UNDERPASS_STATE": str(self.folder / "state"),
            "GIT_SSL_CAINFO": ca_file,
            "SSL_CERT_FILE": ca_file,
            "REQUESTS_CA_BUNDLE": ca_file,
        }


@pytest.fixture
def desk(
    program: Callable[[str], Path],
    origins: LoopThread,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    """An empty directory to work in, with the certificate that some recipes name."""
    program("curl")
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "cert.pem").write_bytes(authority.cert_file.read_bytes())
    (folder / "key.pem").write_bytes(authority.key_file.read_bytes())
    ca_file = authority.ca_file
    (folder / ".curlrc").write_text(f"cacert = {ca_file}\nproxy-cacert = {ca_file}\nsilent\n")
    routes = {"/": page, "/git": git_backend(program("git"), folder / "repositories")}
    with (
        origins.within(http_origin(routes)) as plain,
        origins.within(http_origin(routes, authority.server_context())) as secure,
    ):
        yield Desk(folder, plain, secure, authority)


Recipe = Callable[..., ProxyProcess]

# What the recipes of the README leave denied, and a test cannot do without.
OPEN = ("--allow", "127.0.0.0/8")


@pytest.fixture
def recipe(desk: Desk, start_proxy: StartProxy) -> Recipe:
    """Do what a block says; its last line starts a proxy, with further flags where given."""

    def start(text: str, *more: str) -> ProxyProcess:
        # A fixed address, and one that other machines reach, are not for tests.
        text = re.sub(r"(?:0\.0\.0\.0|127\.0\.0\.1):(?:3128|9090)", "127.0.0.1:0", desk.local(text))
        preparation, _, last = text.rstrip("\n").rpartition("\n")
        if preparation:
            desk.shell(preparation, stdin=f"{PASSWORD}\n")
        name, command, *flags = shlex.split(last)
        assert (name, command) == ("underpass", "proxy")
        return start_proxy(*flags, *more, UNDERPASS_STATE=str(desk.folder / "state"))

    return start


@pytest.fixture
def users(recipe: Recipe) -> ProxyProcess:
    """The proxy of the recipe with users and TLS."""
    [text] = [text for text in blocks("proxy") if "--tls-cert" in text]
    return recipe(text, *OPEN)


@pytest.mark.parametrize("text", blocks("proxy"), ids=lambda text: text.splitlines()[-1])
def test_proxy_recipe_serves(recipe: Recipe, curl: Curl, desk: Desk, text: str) -> None:
    proxy = recipe(text, *OPEN)
    trust = ("--proxy-cacert", desk.authority.ca_file)
    fetched = curl(*trust, "-x", proxy.url, "-U", f"alice:{PASSWORD}", f"{desk.secure.url}/")
    assert fetched.output == PAGE, fetched.errors


def test_rules_recipe_denies_what_it_says(recipe: Recipe, curl: Curl) -> None:
    [text] = [text for text in blocks("proxy") if "--deny" in text]
    denied = curl("-i", "-x", recipe(text).url, "http://some.ads.example/")
    assert denied.text.startswith("HTTP/1.1 403")
    assert "denied by rule *.ads.example" in denied.text


@pytest.mark.parametrize("line", [line for text in blocks("client") for line in text.splitlines()])
def test_client_recipe_is_carried(
    proxy: ProxyProcess, program: Callable[[str], Path], desk: Desk, line: str
) -> None:
    repository = desk.folder / "repositories" / "project.git"
    desk.run(str(program("git")), "init", "-q", "--bare", str(repository))
    output = desk.shell(desk.local(line, proxy))
    if line.startswith("git "):
        assert (desk.folder / "project" / ".git").is_dir()
    else:
        assert output == PAGE.decode()
    assert " 200 " in proxy.wait_for_line(" 127.0.0.1:")


@pytest.mark.parametrize("line", block("helper").splitlines())
def test_ssh_recipe_is_carried(
    proxy: ProxyProcess, program: Callable[[str], Path], desk: Desk, line: str
) -> None:
    found = re.search(r"ProxyCommand='(\S+)", line)
    assert found is not None
    program(found[1])
    with ssh_server(program, desk.folder / "ssh") as server:
        line = desk.local(line, proxy).replace("user@example.com", server.login)
        line = line.replace("ssh ", f"ssh {shlex.join(server.options())} ", 1)
        assert desk.shell(f"{line} echo there") == "there\n"
    assert f"CONNECT 127.0.0.1:{server.port} 200" in proxy.wait_for_line("CONNECT")


@pytest.mark.parametrize("text", blocks("python"), ids=lambda text: text.split()[1])
def test_python_recipe_is_carried(proxy: ProxyProcess, desk: Desk, text: str) -> None:
    assert desk.run(sys.executable, "-c", desk.local(text, proxy)) == "200\n"
    assert f"CONNECT {desk.secure.name} 200" in proxy.wait_for_line("CONNECT")


def test_login_recipe_is_let_in(users: ProxyProcess, desk: Desk) -> None:
    output = desk.shell(desk.local(block("login"), users), stdin=f"{PASSWORD}\n")
    assert output.endswith(PAGE.decode())
    assert " 200 alice " in users.wait_for_line("CONNECT")


def test_token_recipe_is_let_in_as_far_as_its_rules_go(
    users: ProxyProcess, curl: Curl, desk: Desk
) -> None:
    output = desk.shell(desk.local(block("token"), users), stdin=f"{PASSWORD}\n")
    assert output == PAGE.decode()
    assert " 200 robot " in users.wait_for_line("CONNECT")
    trust = ("--proxy-cacert", desk.authority.ca_file)
    login = ("-U", f"robot:{PASSWORD}")
    denied = curl("-i", *trust, *login, "-x", users.url, f"{desk.plain.url}/")
    assert "denied by rule *" in denied.text
    assert desk.plain.visits == []


def test_via_recipe_goes_through_the_other_proxy(
    recipe: Recipe, start_proxy: StartProxy, curl: Curl, desk: Desk
) -> None:
    desk.shell("underpass user add alice", stdin=f"{PASSWORD}\n")
    state = desk.folder / "state"
    parent = start_proxy(*OPEN, "--auth", "basic", "--state", state)
    secret = desk.folder / "parent-password"
    secret.write_text(f"{PASSWORD}\n")
    secret.chmod(0o600)
    proxy = recipe(block("via").replace("parent.example:3128", parent.name), *OPEN)
    for origin in (desk.plain, desk.secure):
        fetched = curl("-x", proxy.url, f"{origin.url}/")
        assert fetched.output == PAGE, fetched.errors
        assert " 200 alice " in parent.wait_for_line(f" {origin.name} ")


def test_metrics_recipe_serves_what_the_text_says(recipe: Recipe, curl: Curl, desk: Desk) -> None:
    proxy = recipe(block("metrics"))
    curl("-x", proxy.url, f"{desk.plain.url}/denied")
    proxy.wait_for_line("GET")
    port = proxy.metrics_port()
    metrics = curl(f"http://127.0.0.1:{port}/metrics")
    assert "underpass_requests_forward_total 1.0" in metrics.text
    assert curl("-i", f"http://127.0.0.1:{port}/healthz").text.startswith("HTTP/1.1 200")


def test_configuration_recipe_is_right_and_followed(recipe: Recipe, curl: Curl) -> None:
    denied = curl("-i", "-x", recipe(block("config")).url, "http://some.ads.example/")
    assert denied.text.startswith("HTTP/1.1 403")
    assert "denied by rule *.ads.example" in denied.text


def test_library_example_runs(curl: Curl, desk: Desk, tmp_path: Path) -> None:
    program = desk.folder / "embedded.py"
    program.write_text(block("library").replace("8080", "0"))
    log = tmp_path / "embedded.log"

    def listening() -> re.Match[str] | None:
        return re.search(r"listening (http://\S+)\n", log.read_text())

    with running([sys.executable, str(program)], log):
        wait_until(lambda: listening() is not None, "the library's example listens")
        found = listening()
        assert found is not None
        refused = curl("-i", "-x", found[1], f"{desk.plain.url}/")
    assert "error=destination_ip_prohibited" in refused.text
