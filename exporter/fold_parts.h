/* SPDX-License-Identifier: GPL-2.0-only */
/* fold_parts: what fold's files share: fold.c (what rows grew by), fold_rows.c (rows that come and
 * go), fold_series.c (a row's series) and fold_expire.c (what comes and goes with time). */
#pragma once

#include "fold.h"

#define MAX_KEY_WORDS 64

struct row {
	struct row *next;
	uint32_t hash;
	union {
		uint32_t grew; /* the table's poll in which it did last */
		uint32_t met;  /* of a refilled table: which of its reads met it last */
	};
	struct group *group;
	struct process *process;
	/* the key in words; what it held; a series per cell of its own level, one of the process
	 * level if any */
	uint64_t data[];
};

struct fold_table {
	struct fold_table *next;
	struct fold *fold;
	const struct table *table;
	struct family **families, **process_families; /* per metric; NULL where it has none */
	size_t key_words, value_words;
	struct row **slots;
	size_t nr_rows, nr_slots;
	bool has_process; /* some metric has series per process */
	uint32_t polls;
	uint32_t reads;	 /* of a refilled table */
	bool look_again; /* for the dead: there are some that may not leave yet, or new rows */
	uint64_t deaths; /* when that was done last */
};

struct fold {
	struct fold_config config;
	struct fold_table *tables;
	uint64_t reaped;
	bool inherit_again; /* memory was short for what an heir was to get */
};

static inline uint64_t *row_last(const struct fold_table *t, struct row *row)
{
	return row->data + t->key_words;
}

static inline struct series **row_series(const struct fold_table *t, struct row *row)
{
	return (struct series **)(row->data + t->key_words + t->value_words);
}

static inline struct series **row_process_series(const struct fold_table *t, struct row *row)
{
	return row_series(t, row) + t->table->nr_cells;
}

/* The series that a cell of a row adds to, at its own level or at process level. NULL when memory
 * is short. */
struct series *fold_series_of(struct fold_table *t, struct row *row, const struct cell *cell,
			      struct family *family, bool process);
/* Removes a series that no row adds to any more. */
void fold_remove_series(struct fold *fold, struct family *family, struct series *series);

/* A new row of that key (in words) and hash, for the process and the group that are in it. NULL
 * when memory is short. */
struct row *fold_row_new(struct fold_table *t, const uint64_t *key, uint32_t hash);
/* What a row counts from here on belongs to the group that its cgroup has now. */
void fold_row_regroup(struct fold_table *t, struct row *row);
/* Frees the row that `at` points to, which then points to the next one. */
void fold_row_forget(struct fold_table *t, struct row **at);
/* Rows of groups that have an heir are the heir's from here on. */
void fold_rows_to_heirs(struct fold_table *t);
/* The series is the group's, unless it has one. */
void fold_own(struct family *family, struct series *series, struct group *group);
