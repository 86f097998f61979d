"""initrd.py BUSYBOX OUTPUT [WORK]: an initrd (cpio, "newc") of a static busybox and an /init that does a work and ends:
`little` (of each kind some, the default) or `talk` (processes that wait for each other, and start others now and then).

Nothing in it depends on the machine or the time: the same busybox makes the same bytes.
"""

import sys
from pathlib import Path

BEGIN = """#!/bin/sh
busybox mkdir -p /proc /sys /tmp
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox --install -s /bin
echo "init: working"
"""
LITTLE = """\
i=0
while [ $i -lt 300 ]; do echo "line $i $((i * 7919 % 1009))"; i=$((i + 1)); done > /tmp/lines
sort -n -k 3 /tmp/lines | md5sum
gzip -c /bin/busybox | md5sum
awk '{ n[$3 % 17] += $2 } END { for (k in n) s += n[k]; print s }' /tmp/lines
for n in 1 2 3 4 5 6 7 8; do sh -c "ls -lR /sys/class > /tmp/ls.$n; wc -l < /tmp/ls.$n" & done; wait
grep -c . /proc/modules /proc/cpuinfo
dd if=/dev/zero of=/tmp/zero bs=64k count=64; md5sum /tmp/zero
"""
# four pairs: one writes numbers into a pipe and reads answers from another, eight address spaces that take turns; each
# 16th time three new processes are in between
TALK = """\
for n in 1 2 3 4; do
    mkfifo /tmp/ask.$n /tmp/answer.$n
    sh -c "while read i; do echo \\$((i * 7919 % 1009)); done < /tmp/ask.$n > /tmp/answer.$n" &
    sh -c "exec 3> /tmp/ask.$n 4< /tmp/answer.$n
        i=0
        while [ \\$i -lt 160 ]; do
            echo \\$i >&3; read a <&4; i=\\$((i + 1))
            [ \\$((i % 16)) != 0 ] || seq \\$a | sort -n | md5sum
        done" &
done; wait
"""
END = """\
echo "init: done"
poweroff -f
"""
WORKS = {"little": LITTLE, "talk": TALK}

DIRECTORY, FILE, CHARACTER = 0o040755, 0o100755, 0o020600


def entry(number: int, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One entry: a header of 8-digit hexadecimal fields, the name, the data, each padded to 4 bytes."""
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def archive(busybox: bytes, work: str) -> bytes:
    entries = [(name, DIRECTORY) for name in ("bin", "dev", "proc", "sys", "tmp")]
    entries += [
        ("dev/console", CHARACTER, b"", (5, 1)),
        ("dev/null", CHARACTER, b"", (1, 3)),
        ("dev/zero", CHARACTER, b"", (1, 5)),
        ("bin/busybox", FILE, busybox),
        ("bin/sh", FILE, busybox),
        ("init", FILE, f"{BEGIN}{WORKS[work]}{END}".encode()),
        ("TRAILER!!!", 0),
    ]
    return b"".join(entry(i, *e) for i, e in enumerate(entries, 1))


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(archive(Path(sys.argv[1]).read_bytes(), *(sys.argv[3:] or ["little"])))
