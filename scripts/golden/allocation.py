"""Golden values of randomisation. Usage: allocation.py OUTPUT.json

An independent implementation, from the papers and from the table of counters at the head of
crates/trial/src/allocation.rs: Philox4x32-10 (Salmon et al. 2011), Lemire's integers, Durstenfeld's
shuffle, SplitMix64. Needs Python only.
"""

import json
import math
import platform
import sys

MASK = 0xFFFFFFFF
TRIAL = 3


def philox(counter, seed):
    """Four words; the key is the seed, low word first."""
    c = list(counter)
    k = [seed & MASK, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


assert philox([0] * 4, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def words(seed, patient, step):
    block = 0
    while True:
        yield from philox([patient, step, TRIAL, block], seed)
        block += 1


def below(source, bound):
    while True:
        product = next(source) * bound
        if product % 2**32 >= 2**32 % bound:
            return product >> 32


def shuffled(ratio, repeats, seed, stratum, number):
    block = [arm for arm, patients in enumerate(ratio) for _ in range(patients * repeats)]
    source = words(seed, number, 2**30 + stratum)
    for last in range(len(block) - 1, 0, -1):
        other = below(source, last + 1)
        block[last], block[other] = block[other], block[last]
    return block


def allocate(ratio, repeats, seed, strata):
    queues = {}
    numbers = {}
    arms = []
    for stratum in strata:
        if not queues.get(stratum):
            number = numbers.get(stratum, 0)
            queues[stratum] = shuffled(ratio, repeats, seed, stratum, number)
            numbers[stratum] = number + 1
        arms.append(queues[stratum].pop(0))
    return arms


def uniform(seed, patient, step):
    low, high = philox([patient, step, TRIAL, 0], seed)[:2]
    return (((high << 32) | low) // 2**11 + 0.5) / 2**53


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    return z ^ (z >> 31)


def replicate_seed(seed, replicate):
    return mix((mix(seed) + (replicate + 1) * 0x9E3779B97F4A7C15) % 2**64)


def main():
    seed = 0x0123456789ABCDEF
    designs = [
        {"ratio": [1, 1], "repeats": 2, "strata": [0] * 24},
        {"ratio": [2, 1, 1], "repeats": 2, "strata": [(7 * k * k) % 5 for k in range(120)]},
        {"ratio": [3, 0, 2], "repeats": 3, "strata": [65535] * 40},
    ]
    for design in designs:
        design["arms"] = allocate(design["ratio"], design["repeats"], seed, design["strata"])
    ids = [0, 1, 2, 1000, 2**32 - 1]
    result = {
        "versions": {"python": platform.python_version()},
        "seed": str(seed),
        "designs": designs,
        "ids": ids,
        "entry_accrual_365": [365 * uniform(seed, i, 2**31) for i in ids],
        "dropout_hazard_0.01": [-math.log(uniform(seed, i, 2**31 + 1)) / 0.01 for i in ids],
        "exponential_endpoint_5": [-math.log(uniform(seed, i, 3 * 2**30 + 5)) for i in ids],
        "replicate_seeds": [str(replicate_seed(seed, r)) for r in range(5)],
    }
    with open(sys.argv[1], "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


main()
