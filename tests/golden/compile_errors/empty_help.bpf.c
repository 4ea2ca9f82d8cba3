/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* error: metric x needs a help text */
/* a metric whose help says nothing */
#include "metrics.bpf.h"

struct v {
	COUNTER(x, "");
};
