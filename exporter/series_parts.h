/* SPDX-License-Identifier: GPL-2.0-only */
/* series_parts: what series.c (the series that exist) and series_publish.c (what is seen of them)
 * share. */
#pragma once

#include "series.h"

/* A series that is gone, but whose text snapshots up to `generation` may show. */
struct grave {
	struct grave *next;
	uint64_t generation;
	struct series *series;
};

struct families {
	struct family **sorted; /* by name */
	size_t n;
	uint64_t generation; /* of the last published snapshot */
	struct grave *graves, **last_grave;
	size_t freed;	  /* series, since memory was given back */
	uint64_t trimmed; /* generation at which it was */
};
