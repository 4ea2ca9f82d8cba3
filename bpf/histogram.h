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
	unsigned long long bound, quarter;
	long long octave = 63, slot;

	if (!ns)
		return 0;
	for (unsigned int bits = 32; bits; bits /= 2)
		if (!(ns >> (64 - bits))) {
			ns <<= bits;
			octave -= bits;
		}
	quarter = ns >> 61 & 3;
	/* no array: a constant one lands in .rodata.cst32, which libbpf does not know */
	bound = quarter & 2 ? (quarter & 1 ? 0xee6b280000000000 : 0xc87c3e7d03cdbec3) :
			      (quarter & 1 ? 0xa8965f74bf065071 : 0x8dc3b8960164a7d9);
	slot = (octave - 30) * 4 + quarter + 1 + (ns > bound) - HIST_FIRST;
	if (slot < 0)
		slot = 0;
	asm volatile("" : "+r"(slot)); /* so that the verifier sees the next test on this very value */
	if ((unsigned long long)slot >= HIST_SLOTS)
		slot = HIST_SLOTS - 1;
	return slot;
}
