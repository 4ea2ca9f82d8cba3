/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fold: rows -> series, by the laws of counting (README, "How counting works").
 *
 * Each row remembers what it held; what it grew by is added to the series of its label sets. So
 * whatever becomes of a row, what was counted stays counted:
 *   - everything with the same labels adds up: many cgroups of one unit, a restarted container;
 *   - a row that was deleted and made anew, or a pid that was reused, starts at 0: all of it is
 * growth;
 *   - the series of a group that is gone for longer than the retention moves into the group
 *     (removed), that of a dead process goes, at once when --process.max-series hides it: its
 *     counts are in its group's.
 * Knows no map: rows come from poll.c, or from a test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "label_cgroup.h"
#include "process.h"
#include "schema.h"
#include "series.h"

struct fold_config {
	struct families *families;
	struct groups *groups;
	struct processes *processes;
	uint64_t process_retention_ns, cgroup_retention_ns;
	bool process_level; /* false: --process.max-series=0, no series per process at all */
};

struct fold;
struct fold_table;

struct fold *fold_new(const struct fold_config *config);
void fold_free(struct fold *fold);

/*
 * Takes a table in, and makes its families. The table must outlive the fold. Returns NULL after
 * filling `why` when a family of that name is there already (errno EEXIST) or memory is short.
 */
struct fold_table *fold_add_table(struct fold *fold, const struct table *table, char *why,
				  size_t why_size);

/* One row as it is now: `value` is value_size / 8 words, summed over the CPUs. Returns 0 or
 * -ENOMEM; nothing is lost then: the growth is still there at the next poll. */
int fold_row(struct fold_table *table, const void *key, const uint64_t *value);

/* The same for `n` rows, whose keys and values lie one after the other; ends at the first that
 * fails. */
int fold_batch(struct fold_table *table, size_t n, const void *keys, const uint64_t *values);

/* A poll of the table is over: all its rows were read, or are known to be what they were. */
void fold_polled(struct fold_table *table);

/*
 * Calls `reap` with the key of each row that may leave its table: of a dead process or a removed
 * group, unchanged for two polls. When it returns true the row is forgotten; `reap` has folded its
 * last value by then.
 */
void fold_dead_rows(struct fold_table *table,
		    bool (*reap)(struct fold_table *table, const void *key, void *arg), void *arg);

/* After a whole read of a refilled table: forgets the rows that were not in it, with their gauges.
 */
void fold_rows_not_met(struct fold_table *table);

/* After all tables of a poll: groups that came get their zeros, what is past its retention goes. */
void fold_tick(struct fold *fold, uint64_t now_ns, bool groups_changed);

size_t fold_rows(const struct fold_table *table); /* rows now */
uint64_t fold_reaped(const struct fold *fold);	  /* rows of dead processes and groups so far */
