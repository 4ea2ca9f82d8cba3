/* SPDX-License-Identifier: GPL-2.0-only */
/* fold_rows: rows come, change their group, and go; whose series they add to. */
#include "fold_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int rehash(struct fold_table *t)
{
	size_t n = t->nr_slots * 2;
	struct row **slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_slots; i++)
		for (struct row *row = t->slots[i], *next; row; row = next) {
			next = row->next;
			row->next = slots[row->hash & (n - 1)];
			slots[row->hash & (n - 1)] = row;
		}
	free(t->slots);
	t->slots = slots;
	t->nr_slots = n;
	return 0;
}

struct row *fold_row_new(struct fold_table *t, const uint64_t *key, uint32_t hash)
{
	const struct table *table = t->table;
	struct row *row, **at;
	uint64_t id;
	pid_t pid = 0;

	if (t->nr_rows >= t->nr_slots && rehash(t))
		return NULL;
	row = calloc(1, sizeof(*row) + (t->key_words + t->value_words) * 8 +
				(1 + t->has_process) * table->nr_cells * sizeof(struct series *));
	if (!row)
		return NULL;
	memcpy(row->data, key, t->key_words * 8);
	row->hash = hash;
	row->grew = t->polls;
	t->look_again = true;
	if (table->has_who)
		memcpy(&pid, (const char *)key + WHO_PID, sizeof(pid));
	if (pid) { /* also without a process level: rows of the dead must leave their tables */
		row->process = processes_get(t->fold->config.processes, pid);
		if (!row->process) {
			free(row);
			return NULL;
		}
	}
	if (table->cgroup_at >= 0) {
		memcpy(&id, (const char *)key + table->cgroup_at, sizeof(id));
		row->group = groups_find(t->fold->config.groups, id);
		group_get(row->group);
	}
	at = &t->slots[hash & (t->nr_slots - 1)];
	row->next = *at;
	*at = row;
	t->nr_rows++;
	return row;
}

/* The row adds to its series no more. What it counted stays; what a gauge held was true with the
 * row, and a gauge of no row says nothing. */
static void leave_series(struct fold_table *t, struct row *row)
{
	size_t n = t->table->nr_cells;

	for (size_t i = 0; i < (t->has_process ? 2 : 1) * n; i++) {
		const struct cell *cell = &t->table->cells[i < n ? i : i - n];
		size_t m = cell->metric - t->table->metrics;
		struct family *family = i < n ? t->families[m] : t->process_families[m];
		struct series *series =
			row_series(t, row)[i]; /* those of the process level follow */

		if (!series)
			continue;
		row_series(t, row)[i] = NULL;
		series->rows--;
		if (cell->metric->kind != METRIC_GAUGE)
			continue;
		series->value -= row_last(t, row)[cell->word];
		if (!series->rows)
			fold_remove_series(t->fold, family, series);
	}
	for (size_t i = 0; i < t->table->nr_cells; i++)
		if (t->table->cells[i].metric->kind == METRIC_GAUGE)
			row_last(t, row)[t->table->cells[i].word] = 0;
}

/*
 * A row may be read before its cgroup was walked, and a cgroup be renamed: what it counts from here
 * on belongs to the group that its cgroup has now. One that is gone keeps the group it had.
 */
void fold_row_regroup(struct fold_table *t, struct row *row)
{
	struct groups *groups = t->fold->config.groups;
	struct group *group;
	uint64_t id;

	if (!row->group)
		return;
	memcpy(&id, (const char *)row->data + t->table->cgroup_at, sizeof(id));
	group = groups_find(groups, id);
	if (group == row->group || !group->live)
		return;
	leave_series(t, row);
	group_get(group);
	group_put(groups, row->group);
	row->group = group;
}

void fold_rows_to_heirs(struct fold_table *t)
{
	struct groups *groups = t->fold->config.groups;

	for (size_t i = 0; i < t->nr_slots; i++)
		for (struct row *row = t->slots[i]; row; row = row->next) {
			struct group *group = row->group;

			if (!group || !group->heir)
				continue;
			leave_series(t, row);
			row->group = group->heir;
			group_get(row->group);
			group_put(groups, group);
		}
}

void fold_row_forget(struct fold_table *t, struct row **at)
{
	struct row *row = *at;

	*at = row->next;
	t->nr_rows--;
	leave_series(t, row);
	group_put(t->fold->config.groups, row->group);
	processes_put(t->fold->config.processes, row->process);
	free(row);
}
