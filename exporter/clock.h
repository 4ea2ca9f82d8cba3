/* SPDX-License-Identifier: GPL-2.0-only */
/* clock: the one clock that anything is measured with; it never steps. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t timespec_ns(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* CLOCK_MONOTONIC in ns. */
static inline uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return timespec_ns(now);
}

/* CLOCK_REALTIME in ns since 1970: for people and for timestamps, never to measure. */
static inline uint64_t unix_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return timespec_ns(now);
}
