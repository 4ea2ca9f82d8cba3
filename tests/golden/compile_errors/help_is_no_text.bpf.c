/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* error: expected ')' */
/* a number where the help belongs */
#include "metrics.bpf.h"

struct v {
	COUNTER(x, 5);
};
