#!/usr/bin/env python3
"""Breaks the real code on purpose, one line at a time, and shows which test notices.

  tests/sim/mutations.py [--seeds N] [NAME...]
  tests/sim/mutations.py --check

Each mutation is applied to a copy of the sources; the simulator (or the named unit test) is built from the copy and must fail.
Exit code 0: every mutation was noticed and the unbroken copy passes. Takes minutes: run by hand, not by ctest, which only runs
--check: does the code still hold what each mutation replaces, once, and does each named test exist?"""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SIM = "sim"
LITMUS = 'unit_budget: "a want and a row that comes back at the same time never miss each other"'

# name: (file below framework/sluice, before, after, the test that must turn red)
MUTATIONS = {
    "compare-and-swap to store": (
        "budget/permit_table.hpp",
        "if (!row.owner.compare_exchange_strong(word, desired.pack())) return false;",
        "static_cast<void>(word);\n  row.owner.store(desired.pack());", SIM),
    "quarantined to free": (
        "budget/share.cpp",
        'write_owner(rows_[row], Owner{RowState::quarantined, life_}, "quarantine");',
        'write_owner(rows_[row], Owner{RowState::free, {}}, "release");', SIM),
    "quarantined to free, by the master": (
        "budget/permit_table.cpp",
        'return swap_owner(row, expected, Owner{RowState::quarantined, expected.life}, "quarantine");',
        'return swap_owner(row, expected, Owner{RowState::free, {}}, "release");', SIM),
    "limit to budget": (
        "budget/share.hpp",
        "return limit_ ? limit_->load(std::memory_order_relaxed) : static_cast<std::uint32_t>(rows_.size());",
        "return static_cast<std::uint32_t>(in_use().size());", SIM),
    "limit to budget, in the split": (
        "budget/allocation.hpp",
        "return shared / workers + (rank < shared % workers ? 1 : 0);",
        "return shared + 0 * rank;", SIM),
    "seq_cst to relaxed": (
        "budget/permit_table.hpp",
        "Owner owner, const char* what, std::memory_order order = std::memory_order_seq_cst",
        "Owner owner, const char* what, std::memory_order order = std::memory_order_relaxed", LITMUS),
    "no second look after a claim": (
        "budget/share.cpp",
        "if (const Refusal why = governed(picture_.connecting, now); why != Refusal::none) {",
        "if (const Refusal why = Refusal::none; why != Refusal::none) {", SIM),
    "the second look does not see an outage": (
        "budget/share.cpp",
        "if (const Refusal why = governed(picture_.connecting, now); why != Refusal::none) {",
        "if (const Refusal why = governed(picture_.connecting, now); why == Refusal::connecting) {", SIM),
    "a server that is down is connected to as if it were up": (
        "budget/share.cpp",
        "const Outage outage = Outage::unpack(outage_->load());",
        "const Outage outage;", SIM),
    "a want is not published again": (
        "budget/share.cpp",
        "permits <= published_ && now - published_at_ < rescan_interval",
        "permits <= published_", SIM),
    "a giver ignores the wants of workers below their floor": (
        "budget/lending.cpp",
        "if (held >= parts.floor_of(s)) rank =",
        "if (held < parts.floor_of(s)) continue;\n    rank =", SIM),
    "invisible sessions forgotten": (
        "budget/confirmation.cpp",
        "gone = !invisible_possible;",
        "gone = true;", SIM),
    "the age of a row believed": (
        "budget/confirmation.cpp",
        "if (row.owner.state == RowState::quarantined) row.changed_nanos = std::max(row.changed_nanos, seen.since);",
        "", SIM),
    "a new connection yields before it is used": (
        "pool/core_connections.cpp",
        "(entry.uses > 0 || queue_.empty()) && siblings_->other_starves(*this)",
        "siblings_->other_starves(*this)", SIM),
}

# Compiled together, a list at a time: a mutation costs the lists that see it, ccache has the others.
SIM_UNITS = [
    ["budget/*.cpp", "shm/segment.cpp", "core/descriptor.cpp", "core/text.cpp", "config/in_force.cpp", "supervise/budget_keeper.cpp",
     "supervise/slot_machine.cpp", "supervise/rollout.cpp", "supervise/restart_policy.cpp"],
    ["pool/core*.cpp", "pool/siblings.cpp"],
    ["../../tests/sim/*.cpp"],
]
LITMUS_UNITS = [["budget/*.cpp", "core/text.cpp"], ["../../tests/unit/budget/litmus_test.cpp"], ["../../tests/support/main.cpp"]]


# What is wrong with the list itself.
def stale():
    findings = []
    for name, (file, before, after, test) in MUTATIONS.items():
        path = ROOT / "framework" / "sluice" / file
        count = path.read_text().count(before) if path.exists() else 0
        if count != 1 or before == after:
            findings.append(f"{name}: {file} holds {count} times, not once: {before}")
        _, _, sentence = test.partition(": ")
        if sentence and not any(f"TEST_CASE({sentence})" in unit.read_text() for unit in (ROOT / "tests" / "unit").rglob("*.cpp")):
            findings.append(f"{name}: there is no such test: {sentence}")
    return findings


class Bench:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory).resolve()
        self.compiler = ([shutil.which("ccache")] if shutil.which("ccache") else []) + [os.environ.get("CXX", "g++")]
        (self.directory / "objects").mkdir()

    def copy(self):
        for name in ("framework", "tests"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        shutil.copytree(ROOT / "framework", self.directory / "framework")
        shutil.copytree(ROOT / "tests" / "sim", self.directory / "tests" / "sim")
        shutil.copytree(ROOT / "tests" / "unit" / "budget", self.directory / "tests" / "unit" / "budget")
        shutil.copytree(ROOT / "tests" / "support", self.directory / "tests" / "support")

    def apply(self, file, before, after):
        path = self.directory / "framework" / "sluice" / file
        path.write_text(path.read_text().replace(before, after))

    def compile(self, test, number, patterns):
        framework = self.directory / "framework" / "sluice"
        unit = self.directory / "objects" / f"{test.split(':')[0]}-{number}.cpp"
        files = [f for pattern in patterns for f in sorted((framework / pattern).parent.resolve().glob(pathlib.Path(pattern).name))]
        unit.write_text("".join(f'#include "{f.relative_to(self.directory)}"\n' for f in files))
        target = unit.with_suffix(".o")
        subprocess.run([*self.compiler, "-std=c++20", "-O1", "-w", "-I.", "-Iframework", "-Itests", "-c", unit.relative_to(self.directory), "-o", target],
                       cwd=self.directory, check=True)
        return target

    def build(self, test):
        units = SIM_UNITS if test == SIM else LITMUS_UNITS
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda unit: self.compile(test, *unit), enumerate(units)))
        program = self.directory / "program"
        subprocess.run([self.compiler[-1], *objects, "-o", program, "-lpthread"], check=True)
        return program

    # None: it passes; else the line that says what is wrong.
    def run(self, test, seeds):
        command = [self.build(test)] + (["--seeds", str(seeds)] if test == SIM else [])
        for _ in range(1 if test == SIM else 5):  # two threads must meet; seeds always do
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                lines = [line for line in done.stdout.splitlines() if "FAILED" in line or "CRASHED" in line or "values:" in line]
                return lines[0].strip() if lines else f"exit code {done.returncode}"
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5000)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    unknown = [n for n in options.names if n not in MUTATIONS]
    if unknown:
        sys.exit(f"mutations: no such mutation: {', '.join(unknown)}; there are: {', '.join(MUTATIONS)}")
    findings = stale()
    for finding in findings:
        print(f"{finding}\nThe code has changed: change the mutation.")
    if findings or options.check:
        print(f"mutations: {len(findings)} of {len(MUTATIONS)} are stale")
        sys.exit(1 if findings else 0)
    with tempfile.TemporaryDirectory(prefix="sluice-mutations-") as directory:
        bench = Bench(directory)
        bench.copy()
        broken = [f"unbroken: {why}" for why in [bench.run(SIM, options.seeds), bench.run(LITMUS, 0)] if why]
        print("unbroken:", "; ".join(broken) if broken else "passes", flush=True)
        for name, (file, before, after, test) in MUTATIONS.items():
            if options.names and name not in options.names:
                continue
            bench.copy()
            bench.apply(file, before, after)
            why = bench.run(test, options.seeds)
            print(f"{name} ({file}): {test} " + (f"turns red: {why}" if why else "STAYS GREEN"), flush=True)
            if not why:
                broken.append(name)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
