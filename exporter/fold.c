/* SPDX-License-Identifier: GPL-2.0-only */
#include "fold_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "histogram.h"
#include "label.h"

struct fold *fold_new(const struct fold_config *config)
{
	struct fold *fold = calloc(1, sizeof(*fold));

	if (fold)
		fold->config = *config;
	return fold;
}

static void table_free(struct fold_table *t)
{
	for (size_t i = 0; t->slots && i < t->nr_slots; i++)
		for (struct row *row = t->slots[i], *next; row; row = next) {
			next = row->next;
			free(row);
		}
	free(t->slots);
	free(t->families);
	free(t->process_families);
	free(t);
}

void fold_free(struct fold *fold)
{
	if (!fold)
		return;
	for (struct fold_table *t = fold->tables, *next; t; t = next) {
		next = t->next;
		table_free(t);
	}
	free(fold);
}

static struct family *add_family(struct fold *fold, const char *name, const struct metric *metric,
				 enum level level, char *why, size_t why_size)
{
	struct family *family = families_add(fold->config.families, name, metric->help,
					     metric->kind, metric->scale, level);

	if (!family)
		snprintf(why, why_size,
			 errno == EEXIST ? "%s is declared by another collector already; rename "
					   "the table or the member"
					 : "%s: out of memory",
			 name);
	return family;
}

struct fold_table *fold_add_table(struct fold *fold, const struct table *table, char *why,
				  size_t why_size)
{
	struct fold_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->fold = fold;
	t->table = table;
	t->key_words = (table->key_size + 7) / 8;
	t->value_words = table->value_size / 8;
	t->nr_slots = 64;
	t->slots = calloc(t->nr_slots, sizeof(*t->slots));
	t->families = calloc(table->nr_metrics, sizeof(*t->families));
	t->process_families = calloc(table->nr_metrics, sizeof(*t->families));
	if (!t->slots || !t->families || !t->process_families) {
		snprintf(why, why_size, "out of memory");
		goto fail;
	}
	for (size_t i = 0; i < table->nr_metrics; i++) {
		const struct metric *metric = &table->metrics[i];

		if (metric->family && !(t->families[i] = add_family(fold, metric->family, metric,
								    table->level, why, why_size)))
			goto fail;
		if (metric->process_family && fold->config.process_level &&
		    !(t->process_families[i] = add_family(fold, metric->process_family, metric,
							  LEVEL_PROCESS, why, why_size)))
			goto fail;
		t->has_process |= t->process_families[i] != NULL;
	}
	t->next = fold->tables;
	fold->tables = t;
	return t;
fail:
	table_free(t);
	return NULL;
}

/* For the few words of a key and of most values a loop is half the work of memcmp(). */
static bool same_words(const uint64_t *a, const uint64_t *b, size_t n)
{
	if (n > 8)
		return !memcmp(a, b, n * 8);
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static bool is_zero(const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (words[i])
			return false;
	return true;
}

static struct row **find(const struct fold_table *t, const uint64_t *key, uint32_t hash)
{
	struct row **at = &t->slots[hash & (t->nr_slots - 1)];

	while (*at && ((*at)->hash != hash || !same_words((*at)->data, key, t->key_words)))
		at = &(*at)->next;
	return at;
}

/* What a counter grew by. One that shrank was made anew. A gauge may shrink: the sum wraps and is
 * right. */
static uint64_t growth(uint64_t now, uint64_t last, enum metric_kind kind)
{
	return now >= last || kind == METRIC_GAUGE ? now - last : now;
}

static bool cell_grew(const struct cell *cell, const uint64_t *now, const uint64_t *last)
{
	size_t n = cell->metric->kind == METRIC_HISTOGRAM ? HIST_SLOTS + 1 : 1;

	return !same_words(now + cell->word, last + cell->word, n);
}

static void add_growth(struct series *series, const struct cell *cell, const uint64_t *now,
		       const uint64_t *last)
{
	enum metric_kind kind = cell->metric->kind;

	if (kind != METRIC_HISTOGRAM) {
		series->value += growth(now[cell->word], last[cell->word], kind);
		return;
	}
	for (size_t i = 0; i <= HIST_SLOTS; i++)
		series->slots[i] += growth(now[cell->word + i], last[cell->word + i], kind);
}

/* Finds the series of all cells that grew, or fails before anything was added. */
static int find_series(struct fold_table *t, struct row *row, const uint64_t *now, bool all)
{
	for (size_t i = 0; i < t->table->nr_cells; i++) {
		const struct cell *cell = &t->table->cells[i];
		size_t m = cell->metric - t->table->metrics;
		struct series **own = &row_series(t, row)[i];
		struct series **of_process = &row_process_series(t, row)[i];

		if (!all && !cell_grew(cell, now, row_last(t, row)))
			continue;
		if (t->families[m] && !*own &&
		    !(*own = fold_series_of(t, row, cell, t->families[m], false)))
			return -ENOMEM;
		if (t->process_families[m] && row->process && !*of_process &&
		    !(*of_process = fold_series_of(t, row, cell, t->process_families[m], true)))
			return -ENOMEM;
	}
	return 0;
}

/* A row of an array that its enum has no name for, or that may be nobody's, says nothing as long as
 * it is 0. */
static bool is_unnamed(const struct fold_table *t, const uint64_t *key)
{
	const struct label *label = t->table->labels;
	uint32_t value;

	if (t->table->nr_labels != 1 || label->kind != &label_kind_enum)
		return t->table->nr_labels == 1 && label_is_sparse(label);
	memcpy(&value, (const char *)key + label->offset, sizeof(value));
	for (size_t i = 0; i < label->names.n; i++)
		if ((uint32_t)label->names.values[i].value == value)
			return false;
	return true;
}

static bool is_reserved(const struct fold_table *t, const uint64_t *key)
{
	return is_zero(key, t->key_words);
}

/* Whether a row says something though all it holds is 0: it was not made by counting. */
static bool zero_is_said(const struct fold_table *t, const uint64_t *key)
{
	return t->table->is_refilled ? !is_reserved(t, key)
				     : table_is_array(t->table) && !is_unnamed(t, key);
}

/* `words` is the key, padded with zeros to whole words. */
static int fold_words(struct fold_table *t, const uint64_t *words, uint32_t hash,
		      const uint64_t *value)
{
	bool all = table_is_array(t->table) || t->table->is_refilled;
	struct row *row, **at;
	uint64_t *last;

	at = find(t, words, hash);
	if (!*at && table_is_array(t->table) && is_zero(value, t->value_words) &&
	    !zero_is_said(t, words))
		return 0;
	row = *at ? *at : fold_row_new(t, words, hash);
	if (!row)
		return -ENOMEM;
	last = row_last(t, row);
	if (t->table->is_refilled) {
		row->met = t->reads;
		fold_row_regroup(t, row); /* also when unchanged: it may be so for ever */
	}
	if (same_words(last, value, t->value_words))
		return zero_is_said(t, words) ? find_series(t, row, value, true) : 0;
	fold_row_regroup(t, row);
	if (find_series(t, row, value, all))
		return -ENOMEM;
	for (size_t i = 0; i < t->table->nr_cells; i++) {
		const struct cell *cell = &t->table->cells[i];

		if (row_series(t, row)[i])
			add_growth(row_series(t, row)[i], cell, value, last);
		if (t->has_process && row_process_series(t, row)[i])
			add_growth(row_process_series(t, row)[i], cell, value, last);
	}
	memcpy(last, value, t->value_words * 8);
	if (!t->table->is_refilled)
		row->grew = t->polls;
	if (row->process && row->process->dead_ns)
		process_seen(t->fold->config.processes, row->process);
	return 0;
}

/* A key in whole words, the last one padded. */
static const uint64_t *key_in_words(const struct fold_table *t, uint64_t *words, const void *key)
{
	size_t size = t->table->key_size;

	if (!(size % 8) && !((uintptr_t)key % 8))
		return key;
	words[t->key_words - 1] = 0;
	memcpy(words, key, size);
	return words;
}

int fold_row(struct fold_table *t, const void *key, const uint64_t *value)
{
	uint64_t words[MAX_KEY_WORDS];

	if (t->key_words > MAX_KEY_WORDS)
		return -E2BIG;
	key = key_in_words(t, words, key);
	return fold_words(t, key, hash_bytes(key, t->key_words * 8), value);
}

/*
 * Rows lie all over the memory and a table has more than the cache holds: so each step is made for
 * a few rows before the next, and what it asks memory for arrives meanwhile.
 */
int fold_batch(struct fold_table *t, size_t n, const void *keys, const uint64_t *values)
{
	size_t key_size = t->table->key_size;
	const char *key = keys;
	uint64_t words[MAX_KEY_WORDS];
	uint32_t hashes[32];
	int err = t->key_words > MAX_KEY_WORDS ? -E2BIG : 0;

	for (size_t some; n && !err;
	     n -= some, key += some * key_size, values += some * t->value_words) {
		some = n < 32 ? n : 32;
		for (size_t i = 0; i < some; i++) {
			hashes[i] = hash_bytes(key_in_words(t, words, key + i * key_size),
					       t->key_words * 8);
			__builtin_prefetch(&t->slots[hashes[i] & (t->nr_slots - 1)]);
		}
		for (size_t i = 0; i < some; i++) {
			const struct row *row = t->slots[hashes[i] & (t->nr_slots - 1)];

			__builtin_prefetch(row);
			__builtin_prefetch((const char *)row + 64);
		}
		for (size_t i = 0; i < some; i++) {
			struct row *row = t->slots[hashes[i] & (t->nr_slots - 1)];

			if (!row)
				continue;
			__builtin_prefetch(row_series(t, row)[0]);
			if (t->has_process)
				__builtin_prefetch(row_process_series(t, row)[0]);
		}
		for (size_t i = 0; i < some && !err; i++) {
			err = fold_words(t, key_in_words(t, words, key + i * key_size), hashes[i],
					 values + i * t->value_words);
		}
	}
	return err;
}

/* The cgroup decides, not its group: a unit lives on while its cgroups come and go. */
static bool is_dead(const struct fold_table *t, const struct row *row)
{
	uint64_t id;

	if (table_is_array(t->table) || is_reserved(t, row->data))
		return false;
	if (row->process && row->process->dead_ns)
		return true;
	memcpy(&id, (const char *)row->data + t->table->cgroup_at, sizeof(id));
	return !groups_exists(t->fold->config.groups, id);
}

void fold_polled(struct fold_table *t)
{
	t->polls++;
}

void fold_dead_rows(struct fold_table *t,
		    bool (*reap)(struct fold_table *table, const void *key, void *arg), void *arg)
{
	/* both only grow, so a sum that is the same says that nobody died */
	uint64_t deaths = groups_version(t->fold->config.groups);

	if (t->table->has_who)
		deaths += processes_deaths(t->fold->config.processes);
	if (t->table->cgroup_at < 0 || (!t->look_again && t->deaths == deaths))
		return;
	t->deaths = deaths;
	t->look_again = false;
	for (size_t i = 0; i < t->nr_slots; i++)
		for (struct row **at = &t->slots[i]; *at;) {
			bool dead = is_dead(t, *at);

			/* unchanged in two polls, and not refused */
			if (dead && t->polls - (*at)->grew > 2 && reap(t, (*at)->data, arg)) {
				fold_row_forget(t, at);
				t->fold->reaped++;
			} else {
				t->look_again |= dead;
				at = &(*at)->next;
			}
		}
}

void fold_rows_not_met(struct fold_table *t)
{
	for (size_t i = 0; i < t->nr_slots; i++)
		for (struct row **at = &t->slots[i]; *at;) {
			if ((*at)->met != t->reads)
				fold_row_forget(t, at);
			else
				at = &(*at)->next;
		}
	t->reads++;
}

size_t fold_rows(const struct fold_table *table)
{
	return table->nr_rows;
}

uint64_t fold_reaped(const struct fold *fold)
{
	return fold->reaped;
}
