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
