"""Prints rates.md: faults_code of each recording, and the rate of them from which a scheme is slower than softmmu.

`python results/windows-habit/rates.py > results/windows-habit/rates.md` (with mmuexp installed) makes it again.

Prices are linear in the counts, so the rate is a closed form. habit_10 and habit_100 run the same 200,000 rounds and
differ in one thing only, how many of the rounds store beside their code (E = 20,000 and 2,000). So under each scheme

    p = (ns of habit_10 - ns of habit_100) / 18,000                 price of one such store and what follows from it
    room = (ns of softmmu - ns of the scheme) / (p - p of softmmu)   how many more of them a recording has room for
    rate = 1000 (faults_code + room) / (accesses + room)             for each 1,000 accesses, those stores among them

For recordings other than ours `room` says how many more stores at the price p of our guest would make the scheme as
slow as softmmu (fewer, where it is negative: none at all means that the scheme is behind for other reasons as well).
"""

import csv
import io
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

from again import command_of  # noqa: E402

HOSTS = ["xeon-2.6-vm", "pentium4-2004"]
SCHEMES = ["byte-lookup", "map-block", "qemu-fast,guest_limit=0x100000000"]
SPLIT = ("ns", "kernel_ns", "translate_insns", "faults_code", "protects", "translations", "slow_code")


def counted(host: str) -> dict[str, dict[str, dict[str, float]]]:
    """recording -> scheme -> column -> number, as the experiment's command prints them."""
    command = [sys.executable, "-m", "mmuexp", *command_of(HERE), "--host", host, "--format", "csv"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        numbers = {name: float(row[name] or 0) for name in (*SPLIT, "accesses")}
        found.setdefault(Path(row["trace"]).stem, {})[row["strategy"]] = numbers
    return found


def per_store(found, scheme: str) -> dict[str, float]:
    """What one store beside running code brings with it."""
    many, few = found["habit_10"][scheme], found["habit_100"][scheme]
    stores = found["habit_10"]["map-block"]["faults_code"] - found["habit_100"]["map-block"]["faults_code"]
    return {name: (many[name] - few[name]) / stores for name in SPLIT}


def rate(found, recording: str, scheme: str) -> str:
    """faults_code for each 1,000 accesses at which the scheme would be as slow as softmmu."""
    here, softmmu = found[recording][scheme], found[recording]["softmmu"]
    room = (softmmu["ns"] - here["ns"]) / (per_store(found, scheme)["ns"] - per_store(found, "softmmu")["ns"])
    if here["faults_code"] + room <= 0:
        return "behind without any"
    return f"{1000 * (here['faults_code'] + room) / (here['accesses'] + room):.3f}"


def table(heads: list[str], lines: list[list[str]]) -> None:
    print("| " + " | ".join(heads) + " |\n|---|" + "---:|" * (len(heads) - 1))
    for line in lines:
        print("| " + " | ".join(line) + " |")


def main() -> None:
    print("# Rates\n\nMade by `python results/windows-habit/rates.py`, whose first lines say how.\n")
    priced = {host: counted(host) for host in HOSTS}
    found = priced[HOSTS[0]]
    print("## Counts\n")
    lines = []
    for recording, schemes in found.items():
        here, softmmu = schemes["map-block"], schemes["softmmu"]
        per_1000 = 1000 / here["accesses"]
        lines.append(
            [
                recording,
                f"{here['accesses']:,.0f}",
                f"{here['faults_code']:,.0f}",
                f"{here['faults_code'] * per_1000:.3f}",
                f"{here['translations']:,.0f}",
                f"{softmmu['translations']:,.0f}",
                f"{(here['translations'] - softmmu['translations']) * per_1000:.3f}",
            ]
        )
    heads = ["recording", "accesses", "faults_code", "per 1,000 accesses", "translations, map-block", "softmmu"]
    table([*heads, "repeated per 1,000"], lines)
    for host in HOSTS:
        print(f"\n## Prices of host {host}\n\nOne store beside running code, in our guest:\n")
        lines = []
        for scheme in ["softmmu", *SCHEMES]:
            one = per_store(priced[host], scheme)
            calls = [f"{one[name]:.0f}" for name in ("faults_code", "protects", "translations", "slow_code")]
            parts = [f"{one['ns']:,.1f}", f"{one['kernel_ns']:,.1f}", f"{one['translate_insns']:,.0f}"]
            lines.append([scheme, *calls, *parts])
        heads = ["scheme", "faults_code", "protects", "translations", "slow_code", "ns", "of it kernel ns"]
        table([*heads, "instructions that translate"], lines)
        print("\nfaults_code for each 1,000 accesses from which on the scheme is slower than softmmu:\n")
        lines = [[name, *(rate(priced[host], name, scheme) for scheme in SCHEMES)] for name in found]
        table(["recording", *SCHEMES], lines)


if __name__ == "__main__":
    main()
