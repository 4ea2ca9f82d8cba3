/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * snapshot: the immutable, reference-counted result of one poll.
 *
 * The poller builds one, publishes it with a pointer swap, and frees it when nobody reads it any
 * more. Readers (the HTTP thread) take the current one, render it, release it; they never block the
 * poller and the poller never blocks them for longer than the swap.
 *
 * A snapshot owns its arrays. The texts its samples point to belong to the series (fold.c), which
 * the poller keeps until no snapshot of a generation that shows them is left:
 * snapshot_oldest_generation() says which that is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* A ready-made beginning of a line, `name{labels} `; borrowed, see above. */
struct prefix {
	const char *text;
	uint32_t len;
};

/*
 * One series and its value.
 * Counter, gauge: lines[0] and `value`.
 * Histogram: lines[0 .. HIST_CLASSIC-1] for the classic buckets, then +Inf, _sum, _count;
 * `slots` are the HIST_SLOTS counts (not cumulative) followed by the sum; owned by the snapshot.
 */
struct sample {
	const struct prefix *lines;
	union {
		uint64_t value;
		const uint64_t *slots;
	};
};

/* Values are integers in units of 10^-scale: 9 for nanoseconds shown as seconds, 0 for counts.
 * Those of gauges have a sign, in two's complement. */
struct snapshot_family {
	const char *name; /* borrowed, lives as long as the program */
	const char *help; /* unescaped; borrowed likewise */
	enum metric_kind kind;
	unsigned int scale;
	struct sample *samples;
	size_t nr_samples;
};

enum collector_state { COLLECTOR_UP, COLLECTOR_PARTIAL, COLLECTOR_DOWN, COLLECTOR_OFF };

/*
 * How one collector fares, for /health and the status page. Strings are copied when the snapshot is
 * published, cut to SNAPSHOT_COLLECTOR_MAX and SNAPSHOT_REASON_MAX bytes, so that publishing cannot
 * fail.
 */
#define SNAPSHOT_COLLECTOR_MAX 63
#define SNAPSHOT_REASON_MAX    191

struct snapshot_check {
	const char *collector;
	enum collector_state state;
	const char *reason; /* "" when up */
};

struct snapshot {
	uint64_t generation;   /* 1 for the first poll, then one more each */
	struct timespec taken; /* CLOCK_REALTIME, for people; never used to measure */
	uint64_t taken_mono_ns;
	struct snapshot_family *families;
	size_t nr_families;
	struct snapshot_check *checks;
	size_t nr_checks;
	struct snapshot_private *priv; /* reference count, cached bodies */
};

/* Where a poller publishes and readers take. */
struct snapshot_store *snapshot_store_new(void);
void snapshot_store_free(struct snapshot_store *store); /* NULL is fine; no reader may be left */

/*
 * A new snapshot with room for that many families, samples, histograms and checks: the caller fills
 * families[].samples through snapshot_samples() in order, then publishes or frees it.
 * NULL with errno ENOMEM.
 */
struct snapshot *snapshot_new(size_t families, size_t samples, size_t histograms, size_t checks);
/*
 * The next `n` samples of the snapshot's pool (not set); the next histogram's HIST_SLOTS + 1 values
 * (all 0). NULL when more is asked for than snapshot_new() was told.
 */
struct sample *snapshot_samples(struct snapshot *snapshot, size_t n);
uint64_t *snapshot_slots(struct snapshot *snapshot);
/* Frees a snapshot that was never published; NULL is fine. */
void snapshot_discard(struct snapshot *snapshot);

/* Makes `snapshot` the current one, of the next generation. The store owns it from here. */
void snapshot_publish(struct snapshot_store *store, struct snapshot *snapshot);
/* The current snapshot with a reference taken, or NULL before the first poll. Any thread. */
struct snapshot *snapshot_acquire(struct snapshot_store *store);
void snapshot_release(struct snapshot_store *store, struct snapshot *snapshot);
/* Poller only: frees what nobody reads and says the oldest generation that is still alive. */
uint64_t snapshot_oldest_generation(struct snapshot_store *store);
/* Waits until a snapshot newer than `generation` is published or the deadline (CLOCK_MONOTONIC ns)
 * passes; true when there is one. */
bool snapshot_wait_newer(struct snapshot_store *store, uint64_t generation, uint64_t deadline_ns);

/*
 * What readers derive from a snapshot is kept with it: a body per key, made by `fill` at the first
 * call and by that call only, also when two readers ask at once. `fill` sets data (malloc'ed, the
 * snapshot's from there) and len and returns 0, or returns -errno: then nothing is kept, the call
 * returns NULL with errno set and the next one tries again. It may ask for a body of a lower key.
 */
#define SNAPSHOT_BODIES 8

struct snapshot_body {
	char *data;
	size_t len;
};

const struct snapshot_body *snapshot_body(struct snapshot *snapshot, unsigned int key,
					  int (*fill)(struct snapshot *snapshot,
						      struct snapshot_body *body, void *arg),
					  void *arg);
