/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The one histogram layout, shared by the programs (which fill it) and the exporter (which reads it).
 *
 * Buckets are those of a native Prometheus histogram of schema 2: four per power of two, in SECONDS.
 * Slot i counts observations v with bound(i-1) < v <= bound(i), bound(i) = 2^((i + HIST_FIRST) / 4) s;
 * slot 0 also takes everything below, the last slot everything above the last bound.
 * Of these bounds every eighth is a power of four: the classic `le` of the text format.
 */
#pragma once

#define HIST_SCHEMA	  2
#define HIST_PER_OCTAVE	  (1 << HIST_SCHEMA)
#define HIST_FIRST	  (-20 * HIST_PER_OCTAVE) /* 2^-20 s, just under a microsecond */
#define HIST_SLOTS	  (24 * HIST_PER_OCTAVE + 2) /* up to 2^4 = 16 s, and the rest */
#define HIST_CLASSIC_STEP (2 * HIST_PER_OCTAVE)
#define HIST_CLASSIC	  ((HIST_SLOTS - 2) / HIST_CLASSIC_STEP + 1) /* le bounds without +Inf */

/*
 * The slot of an observation in ns, exact at every bound.
 *
 * With v shifted so that its first bit is bit 63, the bounds 1e9 * 2^(k/4) ns are the same four
 * mantissas in each octave, one in each quarter of it; so two bits name the candidate and one
 * comparison decides. They are floor(2^63 * mantissa): 1.107..., 1.317..., 1.566... are irrational,
 * 1.862645149230957... = 10^9 / 2^29 is exact, so `>` is right for every integer
 * (tests/unit/histogram_test.c compares with exact arithmetic).
 */
static inline __attribute__((always_inline)) unsigned long long
histogram_slot(unsigned long long ns)
{
	unsigned long long bound, odd, upper;
	long long octave = 63, slot;

	if (!ns)
		return 0;
	/*
	 * No branches below: times differ from event to event, and each wrong guess of the CPU costs more
	 * than all of this. BPF has no other way to compare than to branch, so the top bit of a difference
	 * decides; the barrier keeps the compiler from seeing a comparison in it.
	 */
	for (unsigned int log = 5, bits = 32; bits; bits /= 2, log--) {
		unsigned long long empty = (ns >> (64 - bits)) - 1;

		asm volatile("" : "+r"(empty));
		empty = empty >> 63 << log;
		ns <<= empty;
		octave -= empty;
	}
	/* no array: a constant one lands in .rodata.cst32, which libbpf does not know */
	odd = ns >> 61 & 1;
	upper = ns >> 62 & 1;
	asm volatile("" : "+r"(odd), "+r"(upper));
	bound = 0x8dc3b8960164a7d9 + odd * (0xa8965f74bf065071 - 0x8dc3b8960164a7d9) +
		upper * (0xc87c3e7d03cdbec3 - 0x8dc3b8960164a7d9) +
		(odd & upper) * (0xee6b280000000000 - 0xc87c3e7d03cdbec3 - 0xa8965f74bf065071 + 0x8dc3b8960164a7d9);
	bound -= ns; /* both have bit 63 set: the difference has it when ns is beyond the bound */
	asm volatile("" : "+r"(bound));
	slot = (octave - 30) * 4 + (upper << 1 | odd) + 1 + (bound >> 63) - HIST_FIRST;
	if (slot < 0)
		slot = 0;
	asm volatile("" : "+r"(slot)); /* so that the verifier sees the next test on this very value */
	if ((unsigned long long)slot >= HIST_SLOTS)
		slot = HIST_SLOTS - 1;
	return slot;
}
