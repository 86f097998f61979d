"""`mmuexp record -L ROOT`: a program's libraries are those of ROOT, whatever the host has of the same names."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from kit.recordings import record, workshop

from mmuexp.trace import digest, open_trace

LIBC = "libc.so.6"
# what /proc/self/maps says of the program's own libraries, and what libwho.so answers
PROGRAM = r"""
#include <stdio.h>
#include <string.h>
const char *who(void);
int main(void)
{
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "/libc")) {
            fputs(strchr(line, '/'), stdout);
            break;
        }
    puts(who());
}
"""


def gcc(*words) -> str:
    return subprocess.run(["gcc", "-m32", *map(str, words)], check=True, capture_output=True, text=True).stdout.strip()


def host_file(name: str) -> Path:
    return Path(gcc(f"-print-file-name={name}"))


@pytest.fixture(scope="module")
def built() -> Path:
    """A program with a library, built where ROOT is not; libwho.so says where it is from."""
    folder = workshop() / "root-parts"
    folder.mkdir()
    (folder / "program.c").write_text(PROGRAM)
    for name in ("root", "other"):
        (folder / f"{name}.c").write_text(f'const char *who(void) {{ return "{name}"; }}\n')
        gcc("-shared", "-fPIC", "-Wl,-soname,libwho.so", "-o", folder / f"{name}.so", folder / f"{name}.c")
    for name, flags in (("program", []), ("runpath", ["-Wl,-rpath,/opt/who/lib"])):
        gcc("-o", folder / name, folder / "program.c", folder / "root.so", *flags)
    return folder


def make_root(tmp_path, built, folder: str) -> Path:
    """ROOT with a loader, a libc, and libwho.so in `folder`."""
    root = tmp_path / "root"
    libc = root / "usr/lib/i386-linux-gnu"
    for place in (libc, root / "lib", root / folder):
        place.mkdir(parents=True, exist_ok=True)
    shutil.copy(host_file("ld-linux.so.2"), root / "lib/ld-linux.so.2")
    shutil.copy(host_file(LIBC), libc / LIBC)
    shutil.copy(built / "root.so", root / folder / "libwho.so")
    return root


@pytest.mark.long
@pytest.mark.parametrize(
    ("folder", "program"),
    [
        ("lib/i386-linux-gnu", "program"),
        ("usr/lib", "program"),
        ("usr/local/lib/i686-linux-gnu", "program"),
        ("opt/configured", "program"),
        ("opt/who/lib", "runpath"),
    ],
)
def test_libraries_are_those_of_the_root(tmp_path, built, folder, program):
    root = make_root(tmp_path, built, folder)
    (root / "etc/ld.so.conf.d").mkdir(parents=True)
    (root / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n")
    (root / "etc/ld.so.conf.d/own.conf").write_text("# own\n/opt/configured\n")
    done = record("-o", "t.arrow", "-L", "root", "--", built / program, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [f"{root.resolve()}/usr/lib/i386-linux-gnu/{LIBC}", "root"]
    assert "outside" not in done.err and "outside_root" not in open_trace(tmp_path / "t.arrow").metadata


@pytest.mark.parametrize("own", ["/opt/who/lib", "$ORIGIN/../own"])
def test_a_library_of_the_programs_own_folder_comes_first(tmp_path, built, own):
    root = make_root(tmp_path, built, "usr/lib")
    shutil.copy(built / "other.so", root / "usr/lib/libwho.so")
    private = root / own.replace("$ORIGIN/..", "usr").lstrip("/")
    for folder in (private, root / "usr/bin"):
        folder.mkdir(parents=True)
    shutil.copy(built / "root.so", private / "libwho.so")
    gcc("-o", root / "usr/bin/program", built / "program.c", built / "root.so", f"-Wl,-rpath,{own}")
    done = record("-o", "t.arrow", "-L", "root", "--", "root/usr/bin/program", cwd=tmp_path)
    assert (done.code, done.out.splitlines()[1:]) == (0, ["root"]), done.err


def test_the_variable_of_qemu_says_the_same(tmp_path, built):
    root = make_root(tmp_path, built, "usr/lib")
    os.remove(root / "usr/lib/i386-linux-gnu" / LIBC)
    done = record("-o", "t.arrow", "--", built / "program", cwd=tmp_path, env={"QEMU_LD_PREFIX": str(root)})
    assert (done.code, done.out.splitlines()[1:]) == (0, ["root"]), done.err
    assert open_trace(tmp_path / "t.arrow").metadata["outside_root"] == done.out.splitlines()[0]


def test_links_that_begin_at_the_root_stay_in_it(tmp_path, built):
    """As Debian's alternatives do: of the program, and of a library."""
    root = make_root(tmp_path, built, "opt/alternative")
    shutil.copy(built / "program", root / "opt/alternative/prog-1")
    links = {"prog": "prog-1", "libwho.so": "libwho.so"}
    (root / "etc/alternatives").mkdir(parents=True)
    (root / "usr/bin").mkdir()
    for name, target in links.items():
        (root / "etc/alternatives" / name).symlink_to(f"/opt/alternative/{target}")
    (root / "usr/lib/libwho.so").symlink_to("/etc/alternatives/libwho.so")
    (root / "usr/bin/prog").symlink_to("/etc/alternatives/prog")
    (root / "usr/bin/loop").symlink_to("/usr/bin/loop")
    done = record("-o", "t.arrow", "-L", "root", "--", "root/usr/bin/prog", cwd=tmp_path)
    assert (done.code, done.out.splitlines()[1:]) == (0, ["root"]), done.err
    assert "outside" not in done.err
    done = record("-o", "u.arrow", "-L", "root", "--", "root/usr/bin/loop", cwd=tmp_path)
    assert done.code == 1 and "no such program" in done.err and "Traceback" not in done.err


def test_the_interpreter_of_a_script_is_that_of_the_root(tmp_path, built):
    root = make_root(tmp_path, built, "usr/lib")
    shutil.copy(built / "program", root / "lib/prog")
    script = tmp_path / "script"
    script.write_text("#!/lib/prog -x\n")
    script.chmod(0o755)
    done = record("-o", "t.arrow", "-L", "root", "--", "./script", cwd=tmp_path)
    assert (done.code, done.out.splitlines()[1:]) == (0, ["root"]), done.err
    assert open_trace(tmp_path / "t.arrow").metadata["program.sha256"] == digest(root / "lib/prog")


def test_what_comes_from_outside_is_said(tmp_path, built):
    root = make_root(tmp_path, built, "usr/lib")
    os.remove(root / "usr/lib/i386-linux-gnu" / LIBC)
    done = record("-o", "t.arrow", "-L", "root", "--", built / "program", cwd=tmp_path)
    assert done.code == 0, done.err
    host = done.out.splitlines()[0]  # the host's, by its own cache
    assert not host.startswith(str(root))
    assert f"loaded from outside root: {host}" in done.err
    assert open_trace(tmp_path / "t.arrow").metadata["outside_root"] == host


def test_a_root_whose_name_is_no_name_of_a_folder_to_search(tmp_path, built):
    root = make_root(tmp_path, built, "usr/lib")
    root.rename(tmp_path / "ro:ot")
    done = record("-o", "t.arrow", "-L", "ro:ot", "--", built / "program", cwd=tmp_path)
    assert done.code == 1 and "separates folders" in done.err.splitlines()[-1]
    assert not list(tmp_path.glob("t.arrow*"))
