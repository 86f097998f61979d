"""Prints rates.md: faults_code of each recording, and the rate of them from which a scheme is slower than softmmu.

`python results/windows-habit/rates.py > results/windows-habit/rates.md` (with mmuexp installed) makes it again.

Prices are linear in the counts, so the rate is a closed form. habit_10 and habit_100 run the same 200,000 rounds and
differ in one thing only, how many of the rounds store beside their code (20,000 and 2,000). So under each scheme

    p = (ns of habit_10 - ns of habit_100) / 18,000                price of one such store and what follows from it
    room = (ns of softmmu - ns of the scheme) / (p - p of softmmu)  how many more of them a recording has room for
    rate = 1000 (faults_code + room) / (accesses + room)            for each 1,000 accesses, those stores among them

A page with much code that runs has more to translate again at each store, one with little less: the second line of
rates takes that part, translate_insns, out of p. For recordings other than our guest's, p is our guest's too, and
`room` below -faults_code means that the scheme would be behind without any such store.
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
SPLIT = ("ns", "kernel_ns", "insns", "translate_insns", "faults_code", "protects", "translations", "slow_code")


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


def price(found, scheme: str, *, translating: bool = True) -> float:
    """p: what one such store costs, in ns, with or without the code that is translated again."""
    one = per_store(found, scheme)
    ns_of_instruction = (one["ns"] - one["kernel_ns"]) / one["insns"]
    return one["ns"] - (0 if translating else one["translate_insns"] * ns_of_instruction)


def without_any(found, recording: str, scheme: str) -> float:
    """How far the scheme would be ahead of softmmu without such stores, in ns."""
    here, softmmu = found[recording][scheme], found[recording]["softmmu"]
    more = price(found, scheme) - price(found, "softmmu")
    return softmmu["ns"] - here["ns"] + here["faults_code"] * more


def rate(found, recording: str, scheme: str, *, translating: bool = True) -> str:
    """faults_code for each 1,000 accesses at which the scheme is as slow as softmmu."""
    here = found[recording][scheme]
    more = price(found, scheme, translating=translating) - price(found, "softmmu", translating=translating)
    stores = without_any(found, recording, scheme) / more
    if stores <= 0:
        return "behind without any"
    return f"{1000 * stores / (here['accesses'] - here['faults_code'] + stores):.3f}"


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
        print("\nfaults_code for each 1,000 accesses from which on a scheme is slower than softmmu, in our guest:\n")
        lines = [
            ["as it is", *(rate(priced[host], "habit_100", scheme) for scheme in SCHEMES)],
            ["were nothing translated", *(rate(priced[host], "habit_100", s, translating=False) for s in SCHEMES)],
        ]
        table(["", *SCHEMES], lines)
        print("\nTimes softmmu's time; the part of map-block's that is p x faults_code; the rate for that recording.\n")
        lines = []
        for name, schemes in priced[host].items():
            here, softmmu = schemes["map-block"], schemes["softmmu"]
            part = here["faults_code"] * price(priced[host], "map-block") / here["ns"]
            slower = [f"{schemes[scheme]['ns'] / softmmu['ns']:.2f}" for scheme in SCHEMES]
            # habit_1 has one block less to translate at each store: p is not its price
            last = ["", ""] if name == "habit_1" else [f"{part:.1%}", rate(priced[host], name, "map-block")]
            lines.append([name, *slower, *last])
        table(["recording", *SCHEMES, "p x faults_code", "map-block is behind from"], lines)


if __name__ == "__main__":
    main()
