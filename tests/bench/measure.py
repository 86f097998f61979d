"""The comparisons, one method for each group of goals. What they find goes to `rows`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from . import before, peers, processes, synthetic
from .processes import ROOT
from .table import Row, ratios
from .worker import Worker, interleaved

SCHEMES = ("softmmu", "byte-lookup", "map-block", "qemu-fast")  # those of the mail, of which the goals are
ONE = "map-block"  # the scheme of "one scheme": the mail's, and the one that is swept
TRACE = "bzip2"
FIXED = "map-block,pool_blocks=64"
MEGA = 1e6
SMALL = {"bzip2": 0.25, "luajit": 0.08, "gzip": 0.20, "linux_user": 0.15, "linux_early": 0.08}  # goals, bytes a row
WIDTHS = (("gzip", "gzip64"), ("python", "python64"), ("tcc", "tcc64"))  # the same program, built for both


class Bench:
    def __init__(self, rounds: int, python: Path, folder: Path):
        self.rounds, self.python, self.folder = rounds, python, folder
        self.rows: list[Row] = []
        self.programs: dict[str, str] = {}
        self.made = peers.cache_folder() / synthetic.version()
        command = [sys.executable, "-m", "tests.bench.ours"]
        self.alone = Worker(command, cores=1, cwd=ROOT)
        self.all = Worker(command, cwd=ROOT)
        self.old: Worker | None = None  # where the repository has that commit

    def parts(self) -> list:
        return [self.against_peers, self.against_rows, self.widths, self.many, self.thrashing, self.memory,
                self.starts, self.recording, self.sizes, self.awkward, self.curves, self.stages]  # fmt: skip

    def close(self) -> None:
        self.alone.close()
        self.all.close()
        if self.old:
            self.old.close()

    def add(self, *given, **more) -> None:
        self.rows.append(Row(*given, **more))

    def rates(self, name: str, runs: list[dict], what: str = "accesses", note: str = "") -> None:
        self.add("figure", "", name, [run[what] / run["seconds"] / MEGA for run in runs], f"M {what}/s", note=note)

    def against_peers(self) -> None:
        """one scheme, against peers and against only decoding"""
        for name in (TRACE, "luajit"):
            self._against_peers(name)

    def _against_peers(self, name: str) -> None:
        trace = f"traces/{name}.arrow"
        peer = peers.worker(self.python, str(ROOT / trace), self.folder)
        one = {"case": "compare", "trace": trace, "schemes": [ONE]}
        cases = {label: lambda case=case: peer.ask(**case) for label, case in peers.CASES.items()}
        cases |= {
            "one, 1 core": lambda: self.alone.ask(**one),
            "decode, 1 core": lambda: self.alone.ask("decode", trace=trace),
            "one": lambda: self.all.ask(**one),
            "decode": lambda: self.all.ask("decode", trace=trace),
            "decode, 2 threads": lambda: self.all.ask("decode", trace=trace, threads=2),
        }
        found = interleaved(self.rounds, cases)
        peer.close()
        for label in peers.CASES:
            self.rates(f"{name}: {label}, from {'a list' if 'pycache' in label else 'its file'}", found[label])
        for label in ("one", "one, 1 core"):
            self.rates(f"{name}: compare -s {ONE}{label[3:] or ', all cores'}", found[label])
        for label in ("decode", "decode, 1 core", "decode, 2 threads"):
            self.rates(f"{name}: {label}", found[label], "rows")
        fastest = [min((found[label][at] for label in peers.CASES), key=lambda run: run["seconds"])
                   for at in range(self.rounds)]  # fmt: skip
        for label, where, target in (("one", "all cores", 4), ("one, 1 core", "1 core", 3)):
            values = ratios(fastest, found[label])  # the same accesses
            self.add("goal", "1a", f"compare {name}, one scheme: accesses/s against the fastest peer, {where}",
                     values, "x", ">=", target)  # fmt: skip
        self.add("goal", "1b", f"compare {name}, one scheme: time against decoding, both on 1 core",
                 ratios(found["one, 1 core"], found["decode, 1 core"]), "x", "<=", 1.3)  # fmt: skip
        self.add("figure", "", f"{name}: CPU time of one scheme against that of decoding, both on 1 core",
                 ratios(found["one, 1 core"], found["decode, 1 core"], "cpu"), "x",
                 note="what a busy machine disturbs less than the time on the clock")  # fmt: skip
        for label, told in (("decode", "decoding in one thread"), ("decode, 2 threads", "decoding in 2 threads")):
            self.add("goal", "1b", f"compare {name}, one scheme, all cores: time against {told}",
                     ratios(found["one"], found[label]), "x", "<=", 1.3)  # fmt: skip

    def against_rows(self) -> None:
        """one scheme, against the code that read rows"""
        name = f"compare {{}}, one scheme: time of commit {before.COMMIT[:7]}, which read rows, against ours, 1 core"
        try:
            self.old = before.worker()
            then, now = before.lines()
        except RuntimeError as error:
            self.add("goal", "8b", name.format("each"), [], "x", ">=", 2.2, note=str(error))
            self.add("goal", "8d", "lines of replay/ and trace/", [], "x", "<=", 1, note=str(error))
            return
        for trace in SMALL:
            one = {"case": "compare", "trace": f"traces/{trace}.arrow", "schemes": [ONE]}
            found = interleaved(
                self.rounds, {"old": lambda c=one: self.old.ask(**c), "new": lambda c=one: self.alone.ask(**c)}
            )
            self.add("goal", "8b", name.format(trace), ratios(found["old"], found["new"]), "x", ">=", 2.2)
            for label, runs in found.items():
                each = [run["cpu"] / run["rows"] * 1e9 for run in runs]
                self.add("figure", "", f"{trace}: {label} code, one scheme, 1 core, processor time", each, "ns/row")
        self.add("goal", "8d", "lines of replay/ and trace/, against that commit", [now / then], "x", "<=", 1,
                 note=f"{then:,} then, {now:,} now")  # fmt: skip

    def widths(self) -> None:
        """64-bit rows against 32-bit ones"""
        for narrow, wide in WIDTHS:
            cases = {name: lambda n=name: self.alone.ask("compare", trace=f"traces/{n}.arrow", schemes=[ONE])
                     for name in (narrow, wide)}  # fmt: skip
            found = interleaved(self.rounds, cases)
            for what, section, limit in (("row", "goal", {"relation": "<=", "target": 1.2}), ("block", "figure", {})):
                each = [
                    [{"seconds": run["seconds"] / run[f"{what}s"]} for run in found[name]] for name in (wide, narrow)
                ]
                told = f"compare, one scheme: time a {what} of {wide} against {narrow}, 1 core"
                self.add(section, "8c" if limit else "", told, ratios(*each), "x", **limit)

    def many(self) -> None:
        """several schemes and values, against one"""
        trace = f"traces/{TRACE}.arrow"
        values = {"strategy": FIXED, "trace": trace}
        cases = {f"-s {name}": {"case": "compare", "trace": trace, "schemes": [name]} for name in SCHEMES}
        cases |= {
            "all four": {"case": "compare", "trace": trace, "schemes": list(SCHEMES)},
            "1 value": {"case": "sweep", "params": ["map_block_bits=20"], **values},
            "11 values": {"case": "sweep", "params": ["map_block_bits=12..22"], **values},
            "11 x 4 values": {"case": "sweep", "trace": trace, "strategy": "map-block",
                              "params": ["map_block_bits=12..22", "pool_blocks=16,32,64,128"]},
        }  # fmt: skip
        four = [f"-s {name}" for name in SCHEMES]
        for worker, where in ((self.all, "all cores"), (self.alone, "1 core")):
            chosen = {label: lambda c=c, w=worker: w.ask(**c) for label, c in cases.items()}
            found = interleaved(self.rounds if worker is self.all else max(2, self.rounds // 2), chosen)
            for label in cases:
                runs = found[label]
                self.add("figure", "", f"{TRACE}: {label}, {where}", [run["seconds"] for run in runs], "s")
            means = [{"seconds": sum(found[label][at]["seconds"] for label in four) / 4}
                     for at in range(len(found["all four"]))]  # fmt: skip
            for goal, name, above, below, target in (
                ("2a", f"all four schemes against -s {ONE}", found["all four"], found[f"-s {ONE}"], 2.5),
                ("2a", "all four schemes against the mean of the four alone", found["all four"], means, 2.5),
                ("2b", "sweep MAP_BLOCK_BITS: 11 values against 1", found["11 values"], found["1 value"], 1.5),
                ("2c", "11 values x 4 pool sizes against 1 value", found["11 x 4 values"], found["1 value"], 4),
            ):
                self.add("goal", goal, f"{name}, {where}", ratios(above, below), "x", "<=", target)
            if worker is self.all:
                self.add("goal", "4b", "compare with all four: CPU time / wall time",
                         ratios([{"seconds": run["cpu"]} for run in found["all four"]], found["all four"]),
                         "cores", ">=", 1.5, note=f"of {os.cpu_count()}")  # fmt: skip

    def thrashing(self) -> None:
        """traces on which most accesses miss"""
        worst = "each access another of 2^20 pages"
        for told, path in (("60 % jump among 2,048 pages", synthetic.thrashing(self.made)),
                           (worst, synthetic.every_page(self.made))):  # fmt: skip
            cases = {name: lambda name=name, path=path: self.all.ask("compare", trace=str(path), schemes=[name])
                     for name in SCHEMES}  # fmt: skip
            rounds = min(self.rounds, 3) if told == worst else self.rounds
            for name, runs in interleaved(rounds, cases).items():
                share = sum(runs[0]["missed"]) / runs[0]["accesses"]
                speed = [run["rows"] / run["seconds"] / MEGA for run in runs]
                note = f"{share:.0%} of its accesses miss"
                if share > 0.5:
                    self.add("goal", "3", f"{told}: {name}", speed, "M rows/s", ">=", 20, note=note)
                else:
                    self.add("figure", "", f"{told}: {name}", speed, "M rows/s", note=note)

    def memory(self) -> None:
        """the most memory of compare, short and long"""
        for pieces, section in ((16, "figure"), (64, "goal")):
            path = synthetic.long_trace(self.made, pieces)
            most = processes.run([*processes.MMUEXP, "compare", path])["bytes"] / MEGA
            name = f"compare with all schemes, {pieces * synthetic.PIECE / MEGA:.0f} M rows: peak resident memory"
            limit = {"relation": "<=", "target": 400} if section == "goal" else {}
            self.add(section, "4a" if limit else "", name, [most], "MB", **limit)
        self.add("goal", "4c", "`mmuexp compare` has an option -j", [float(processes.has_jobs())], "of 1", ">=", 1)

    def starts(self) -> None:
        """new processes"""
        found = interleaved(self.rounds, processes.start_cases())
        for name, goal, target in (("mmuexp --help", "5a", 150), ("mmuexp compare", "5b", 2500)):
            told = name + (" on the default trace, new process, to the table" if goal == "5b" else ", new process")
            self.add("goal", goal, told, [run["seconds"] * 1e3 for run in found[name]], "ms", "<=", target)
        bare = [run["seconds"] * 1e3 for run in found["python -c pass"]]
        self.add("figure", "", "python -c pass, new process", bare, "ms", note="part of every start")
        cold = processes.first_start(self.folder)
        self.add("figure", "", "mmuexp compare where nothing is compiled yet", [cold["seconds"] * 1e3], "ms",
                 note="once per installed version")  # fmt: skip
        told = float("compiling" in cold["told"])
        self.add("goal", "5c", "mmuexp compare tells on a terminal that it compiles", [told], "of 1", ">=", 1)

    def recording(self) -> None:
        """recording, against lackey"""
        name = "recording a sort: accesses/s against lackey writing a file"
        missing = [p for p in ("qemu-i386", "gcc", "make") if shutil.which(p) is None]
        if missing:
            self.add("goal", "6a", name, [], "x", ">=", 100, note=f"{' '.join(missing)} not installed")
            return
        for command in (["qemu-i386", "--version"], ["valgrind", "--version"]):
            if shutil.which(command[0]):
                told = subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0]
                self.programs[command[0]] = told.removeprefix("qemu-i386 version ").removeprefix("valgrind-")
        work = processes.Recording(self.folder)
        found = interleaved(
            min(self.rounds, 3), {"start": lambda: work.ours(work.tiny), "sort": lambda: work.ours(work.long)}
        )
        ours = work.rate(found["sort"], found["start"])
        accesses = found["sort"][0]["accesses"] / MEGA
        note = f"{accesses:.0f} M accesses, start subtracted"
        self.add("figure", "", "recorder, sort of 200,000 numbers", [r / MEGA for r in ours], "M accesses/s", note=note)
        try:
            start = [work.lackey(work.tiny)]
            run = work.lackey(work.short)
            lackey = work.rate([run], start)[0]
        except (OSError, RuntimeError) as error:
            why = " ".join(str(error).split())[-100:].replace("|", "/")
            self.add("goal", "6a", name, [], "x", ">=", 100, note=f"lackey does not run: {why}")
            return
        note = f"{run['accesses']:,} accesses, run once; a system call for each line, {run['cpu']:.1f} s of CPU"
        self.add("figure", "", "lackey writing a file, sort of 2,000", [lackey / MEGA], "M accesses/s", note=note)
        self.add("goal", "6a", name, [rate / lackey for rate in ours], "x", ">=", 100, note="start subtracted")

    def sizes(self) -> None:
        """bytes per row, and codecs"""
        for path, size in processes.bytes_per_row().items():
            goal = SMALL.get(Path(path).stem)
            self.add("goal", "8a" if goal else "6b", path, [size], "bytes/row", "<=", goal or 0.8)
        files = processes.recompressed(ROOT / "traces" / f"{TRACE}.arrow", self.folder)
        found = interleaved(self.rounds, {label: lambda p=p: self.alone.ask("decode", trace=str(p))
                                          for label, p in files.items()})  # fmt: skip
        for label, runs in found.items():
            size = files[label].stat().st_size / runs[0]["rows"]
            self.rates(f"{TRACE} as {label}: decode, 1 core", runs, "rows", note=f"{size:.3f} bytes/row")

    def awkward(self) -> None:
        """traces whose blocks are of no use, stored as such and as rows"""
        for name, paths in synthetic.awkward_files(self.made).items():
            blocks, rows = (path.stat().st_size for path in paths)
            self.add("goal", "8e", f"{name}: bytes, format 2 against format 1", [blocks / rows], "x", "<=", 1.1)
            told = f"{name}: time of one scheme, format 2 against rows under commit {before.COMMIT[:7]}, 1 core"
            if self.old is None:
                self.add("goal", "8e", told, [], "x", "<=", 1.1, note="that commit is not here")
                continue
            cases = {worker: lambda w=worker, p=path: w.ask("compare", trace=str(p), schemes=[ONE])
                     for worker, path in zip((self.alone, self.old), paths, strict=True)}  # fmt: skip
            found = interleaved(min(self.rounds, 5), cases)
            self.add("goal", "8e", told, ratios(found[self.alone], found[self.old]), "x", "<=", 1.1)

    def curves(self) -> None:
        """cost against rows and against values"""
        lengths = [4, 8, 16, 32, 64]
        paths = {n: str(synthetic.long_trace(self.made, n)) for n in lengths}
        found = interleaved(min(self.rounds, 5), {n: lambda p=p: self.all.ask("compare", trace=p, schemes=[ONE])
                                                  for n, p in paths.items()})  # fmt: skip
        each = {n: [run["seconds"] / run["rows"] * 1e9 for run in runs] for n, runs in found.items()}
        for n, values in each.items():
            self.add("curve", "7a", f"compare -s {ONE}, {n * synthetic.PIECE:,} rows", values, "ns/row")
        rise = [last / first for first, last in zip(each[16], each[64], strict=True)]
        self.add(
            "goal", "7a", "ns/row at 67 M rows against 17 M rows", rise, "x", "<=", 1.2, note="our reading of linear"
        )
        longest = {"trace": paths[64]}
        cases = {"compare": lambda: self.alone.ask("compare", schemes=[ONE], **longest),
                 "decode": lambda: self.alone.ask("decode", **longest)}  # fmt: skip
        found = interleaved(min(self.rounds, 3), cases)
        self.add("figure", "", "synthetic, 67 M rows: time of one scheme against decoding, both on 1 core",
                 ratios(found["compare"], found["decode"]), "x",
                 note="what remains where start costs nothing")  # fmt: skip
        self.rates("synthetic, 67 M rows: decode, 1 core", found["decode"], "rows")
        counts = {1: "20", 2: "19,20", 4: "17..20", 8: "15..22", 11: "12..22"}
        trace = f"traces/{TRACE}.arrow"
        cases = {n: {"case": "sweep", "trace": trace, "strategy": FIXED, "params": [f"map_block_bits={text}"]}
                 for n, text in counts.items()}  # fmt: skip
        cases[22] = {"case": "sweep", "trace": trace, "strategy": "map-block",
                     "params": ["map_block_bits=12..22", "pool_blocks=32,64"]}  # fmt: skip
        cases[44] = {**cases[22], "params": ["map_block_bits=12..22", "pool_blocks=16,32,64,128"]}
        found = interleaved(min(self.rounds, 5), {n: lambda c=c: self.all.ask(**c) for n, c in cases.items()})
        for n, runs in found.items():
            self.add("curve", "7b", f"sweep {TRACE}, values: {n}", ratios(runs, found[1]), "x one value")
        slope = [value / 44 for value in ratios(found[44], found[1])]
        self.add("goal", "7b", "a value's cost among 44, against one alone", slope, "x", "<=", 0.25,
                 note="our reading of far slower than linearly")  # fmt: skip

    def stages(self) -> None:
        """stages of one scheme"""
        for name in (TRACE, "luajit"):
            trace = f"traces/{name}.arrow"
            cases = {"stages": {"case": "stages", "trace": trace, "scheme": ONE},
                     "whole": {"case": "compare", "trace": trace, "schemes": [ONE]}}  # fmt: skip
            found = interleaved(self.rounds, {label: lambda c=c: self.alone.ask(**c) for label, c in cases.items()})
            whole = [run["seconds"] for run in found["whole"]]
            known = [run["stages"] for run in found["stages"]]
            parts = {stage: [run[stage] for run in known] for stage in known[0]}
            rest = [a - sum(b.values()) for a, b in zip(whole, known, strict=True)]
            parts |= {"the rest (prices, table, threads)": rest, "whole `compare`": whole}
            for stage, values in parts.items():
                share = f"{median(values) / median(whole):.0%} of the whole"
                each = f"{median(values) / found['whole'][0]['rows'] * 1e9:.2f} ns/row"
                self.add("stage", "", f"{name}: {stage}", [v * 1e3 for v in values], "ms", note=f"{share}, {each}")
