/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* error: too few arguments provided to function-like macro invocation */
/* a metric without help */
#include "metrics.bpf.h"

struct v {
	COUNTER(x);
};
