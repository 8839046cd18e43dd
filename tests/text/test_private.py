"""Secrets in addresses and commands, and folders of a user's: shown nowhere."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.text.private import (
    address,
    command,
    setting,
    without_paths,
    without_secrets,
)

ADDRESSES = {
    "http://me:secret@host:5000": "http://host:5000/***",
    "http://me:s@cret@host:5000": "http://host:5000/***",
    "http://me:secr et@host:5000/": "http://host:5000/***",
    "http://me:sec/ret@host:5000": "http://***",
    "http://me:sec?ret@host": "http://***",
    "http://me:sec#ret@host": "http://***",
    "https://host/mlflow?token=secret": "https://host/***",
    "https://host/x?a=1&password=secret": "https://host/***",
    "https://host/secret/token": "https://host/***",
    "https://host/path@secret": "https://***",
    "https://host": "https://host",
    "http://[::1]:5000/": "http://[::1]:5000",
    "databricks://secret": "databricks://***",
    "databricks://scope:secret@x": "databricks://***",
    "postgresql+psycopg2://me:s@cret@db/runs": "postgresql+psycopg2://db/***",
    "file:///home/me/secret": "file://***",
    "/home/me/secret": "***",
    "databricks": "***",
    "": "***",
}


@pytest.mark.parametrize("uri", ADDRESSES)
def test_of_an_address_scheme_and_host_are_shown(uri: str) -> None:
    assert address(uri) == ADDRESSES[uri]
    for said in (f"cannot reach {uri} now", f'host of "{uri}"', "could not translate s@cret"):
        hidden = without_secrets(said, uri) if "cret" in uri else ""
        assert "secret" not in hidden
        assert "s@cret" not in hidden or "s@cret" not in uri


@given(password=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Z"])))
def test_no_password_is_shown_however_it_is_written(password: str) -> None:
    uri = f"http://me:{password}@host.example:5000/path"
    shown = address(uri)
    assert shown in ("http://host.example:5000/***", "http://***")
    if len(password) > 5 and password.isalnum() and password not in "host.example:5000":
        assert password not in without_secrets(f"401 for url: {uri} ({password})", uri)


def test_parts_that_a_library_says_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abcdef")
    uri = "https://me:p%40ss@host/team/t0ken"
    said = "Max retries with url: /team/t0ken/api: p@ss abcdef at host https://other/x?y=z"
    hidden = without_secrets(said, uri)
    assert hidden == "Max retries with url: /***/***/api: *** *** at host https://other/***"


def test_a_command_names_no_secret_and_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    arguments = [
        "--config", "api_key=x", "--token", "x", "--uri", "http://a:b@host", "--data=/scratch/me/d",
        f"{tmp_path}/grid.yaml", "/home/me/a.yaml", "plain",
    ]  # fmt: skip
    assert command(arguments) == (
        "--config api_key=*** --token *** --uri http://host/*** --data=…/d grid.yaml ~/a.yaml plain"
    )


TOLD = {
    "--storage-s3-access-key AKIA": "--storage-s3-access-key ***",
    "--key x": "--key ***",
    "--pat x": "--pat ***",
    "--keep-going x": "--keep-going x",
    "'Authorization: Bearer x'": "'Authorization: ***'",
    "'Authorization: Bearer x http://a:b@host/c'": "'Authorization: *** http://host/***'",
    "'auth_token: x, a: 1'": "'auth_token: ***, a: 1'",
    "config/tokens.yaml": "config/tokens.yaml",
    "file.py:token": "file.py:token",
    "'ssh me@login.cluster sbatch'": "'ssh ***@*** sbatch'",
    "git@host.org:me/x": "***@***:me/x",
    "hf:owner/name@main": "hf:owner/name@main",
    "hf:gpt2@main": "hf:gpt2@main",
    "'qsub -o /scratch/me/logs/o'": "'qsub -o …/o'",
    "file:/home/me/x/y": "file:…/y",
    "/home/me": "~",
    "/home/me/a:/scratch/me/b": "…/a:…/b",
    "--data=/home/me": "--data=~",
    "/home/you/lr=0.1/grid.yaml": "…/grid.yaml",
    # of somebody else, outside of the working directory, to a cluster
    "/home/you": "~",
    "~you/x/set.csv": "…/set.csv",
    "../../home/you/grid.yaml": "…/grid.yaml",
    "--data=../you/set": "--data=…/set",
    "../..": "../..",
    "slurm_account=you mail=you@host slurm_partition=x": (
        "slurm_account=*** mail=*** slurm_partition=x"
    ),
}


@pytest.mark.parametrize("typed", TOLD)
def test_what_is_private_within_an_argument_is_not_told(
    typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert command(shlex.split(typed)) == TOLD[typed]


def test_a_folder_whose_name_holds_spaces_is_told_by_its_last_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(["--data", "/scratch/of somebody/set"]) == "--data …/set"
    monkeypatch.setenv("HOME", "/home/of somebody")
    for said in ("/home/of somebody/a b/x.csv", "/home/of somebody", "'/home/of somebody/x'"):
        assert "somebody" not in without_paths(said)


LEADING_AWAY = {
    "../../home/jane/x.yaml": "…/x.yaml",
    "../../home/jane": "~",
    "../jane/set": "…/set",
    r"..\..\jane\set.csv": "…/set.csv",
    r"%USERPROFILE%\set.csv": "…/set.csv",
    r"%HOMEDRIVE%%HOMEPATH%\of jane\set.csv": "…/set.csv",
    r"$env:USERPROFILE\jane\set.csv": "…/set.csv",
    "$HOME/jane/set.csv": "…/set.csv",
    "${HOME}/of jane/set.csv": "…/set.csv",
    r"~\of jane\set.csv": "…/set.csv",
    "/home/Jane Doe/x/set.csv": "…/set.csv",
    "/home/Jane Doe/x/set": "…/set",
    "/home/Jane Doe": "~",
    "/mnt/c/Users/Jane Doe/x/set": "…/set",
    "/mnt/c/Users/jane": "~",
    "/mnt/of jane/mine.py:score": "…/mine.py:score",
    r"C:\Documents and Settings\Jane Doe\x": "…/x",
    r"C:\Documents and Settings\jane": "~",
}


@pytest.mark.parametrize("path", LEADING_AWAY)
def test_a_path_that_leaves_the_working_directory_is_told_by_its_last_part(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    told = LEADING_AWAY[path]
    assert without_paths(path) == told
    assert without_paths(f"cannot read '{path}': 1/2 of it") == f"cannot read '{told}': 1/2 of it"
    for typed in ([path], [f"--data={path}"], ["--data", path], [f"{path}={path}"]):
        assert "jane" not in command(typed).lower()
    assert "jane" not in setting("TORCH_X", path).lower()


_WORD = st.text("acxzéß", min_size=1, max_size=6)
_NAME = st.lists(_WORD, min_size=1, max_size=3).map(lambda words: "JANE " + " ".join(words))
_BEFORE = st.sampled_from(
    ("/home/{}/", "/Users/{}/", "/mnt/c/Users/{}/", "/nfs/home2/{}/", "C:\\Users\\{}\\",
     "C:\\\\Users\\\\{}\\\\", "d:\\{}\\", "\\\\server\\{}\\", "..\\..\\{}\\", "%APPDATA%\\{}\\",
     "$env:HOMEPATH\\{}\\", "../{}/", "../../{}/", "/scratch/{}/", "$HOME/{}/", "${{TMP}}/{}/")
)  # fmt: skip


@given(before=_BEFORE, name=_NAME, last=_WORD, text=st.sampled_from(("{}", "x '{}': y", '("{}")')))
def test_no_folder_of_others_is_told_wherever_it_lies(
    before: str, name: str, last: str, text: str
) -> None:
    said = without_paths(text.format(f"{before.format(name)}{last}.csv"))
    assert said == text.format(f"…/{last}.csv")


@given(
    home=st.text(st.characters(codec="utf-8", exclude_characters="/:\0\r\n"), min_size=3),
    last=_WORD, text=st.sampled_from(("{}", "x '{}': y", "at {} now", "{}:/tmp/x")),
)  # fmt: skip
def test_no_home_of_ones_own_is_told_whatever_its_name(home: str, last: str, text: str) -> None:
    home = f"/somewhere/JANE{home}JANE"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", home)
        for path in (home, f"{home}/{last}", f"{home}/{last}/x"):
            said = text.format(path)
            assert "JANE" not in without_paths(said)
            assert "JANE" not in command([said, f"--x={said}"])
            assert "JANE" not in setting("TORCH_X", said)


_ORDINARY = st.sampled_from(
    ("1/2", "and/or", "results/x/y.csv", "3:4", "100%", "50%/60%", "x.py:score", "~", "~0.5",
     "\\d+\\w", "\\x1b[2J", "(a)", "https://host/a/b", "$x/y$", "%d/%s/x", "..", "...", "../..",
     "C:", "a\\b\\c", "I/O", "/", "//", "-/-", "…/x", "don't", "hf:a/b@c", "img/s", "(1/2)/3/4",
     "a / b", "$5")
)  # fmt: skip


@given(st.lists(_ORDINARY), st.sampled_from((" ", ", ", "; ", "\n", " = ")))
def test_ordinary_text_stays(words: list[str], between: str) -> None:
    text = between.join(words)
    assert without_paths(text) == text


OF_WINDOWS = {
    r"C:\Users\jane\set.csv": "…/set.csv",
    r"C:\Users\Jane Doe\of jane\set.csv": "…/set.csv",
    r"C:\\Users\\Jane Doe\\set.csv": "…/set.csv",  # as Python and JSON write it
    "D:/jane/x/set.csv": "…/set.csv",
    r"\\jane-pc\share\jane\set.csv": "…/set.csv",
    r"\\wsl$\Debian\home\jane\set.csv": "…/set.csv",
    r"sqlite:///C:\Users\jane\set.csv": "sqlite:…/set.csv",
    "file:///C:/Users/jane/set.csv": "file:…/set.csv",
    r"C:\Users\jane": "~",
    "/Users/jane": "~",
    "/home/jane": "~",
}


@pytest.mark.parametrize("path", OF_WINDOWS)
def test_a_path_of_windows_is_told_by_its_last_part(path: str) -> None:
    told = OF_WINDOWS[path]
    assert without_paths(path) == told
    assert without_paths(f"cannot read '{path}': 1/2 of it") == f"cannot read '{told}': 1/2 of it"
    for typed in ([path], [f"--data={path}"], ["--data", path], [f"x {path}"]):
        assert "jane" not in command(typed).lower()
    assert "jane" not in setting("LD_PRELOAD", path)


def test_what_is_no_path_of_windows_stays() -> None:
    for same in (
        r"\x1b[2Jgone \u202e",
        r"\\d+\\w",
        "https://host/a/b",
        "3:4/5",
        "C:x",
        "a: /",
        "C:",
    ):
        assert without_paths(same) == same
    # whatever follows, in time that grows with the text
    begun = time.process_time()
    for long in ("C:\\" + "a " * 2000, "C:/" + "a/" * 2000, "C:\\a " * 800, "\\" * 4000):
        without_paths(long)
    for piece in ("../", "..\\", "/a ", "/a b/", "~/a b ", "'/a b", "/home/a b ", "$AB/", "%A%"):
        without_paths(piece * 10_000)
    assert time.process_time() - begun < 5


def test_of_a_variable_what_is_private_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    told = {
        "/home/me": "~", "/scratch/me/a:/home/me/b": "…/a:~/b", ":16:8": ":16:8",
        "http://a:b@host/c": "http://host/***", "{0:4},{4:4}": "{0:4},{4:4}",
        "split:3,me=/x/me/y": "split:3,me=…/y",
    }  # fmt: skip
    assert {value: setting("TORCH_X", value) for value in told} == told
    assert setting("TORCH_HUB_TOKEN", "x") == setting("TORCH_API_KEY", "x") == "***"


def test_a_secret_that_a_library_quotes_is_hidden() -> None:
    said = without_secrets("401 for s%C3%A9cret and sécret", "http://me:sécret@host")
    assert said == "401 for *** and ***"


def test_paths_are_told_by_their_last_part() -> None:
    for before in ("file://", "<", "`", "x|", "{", "sqlite:///", "@"):
        said = f"{before}/home/me/a.csv"
        assert "home" not in without_paths(said)
        assert "…/a.csv" in without_paths(said)
    assert without_paths("~/mine.py:score") == "…/mine.py:score"  # as of another user's home
    assert without_paths("FileNotFoundError: '/home/me/set/a.csv' is not there") == (
        "FileNotFoundError: '…/a.csv' is not there"
    )
    assert without_paths("/home/me/my.py:score(x=/tmp/y/z)") == "…/my.py:score(x=…/z)"
    for same in ("1/2 of a/b/c", "results/x/y", "and/or", "https://host/a/b"):
        assert without_paths(same) == same
