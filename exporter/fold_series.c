/* SPDX-License-Identifier: GPL-2.0-only */
/* fold_series: the labels of a row, and the series they make. */
#include <string.h>

#include "fold_parts.h"
#include "label.h"

static void add_key_label(struct buffer *out, const struct label *label, const void *key)
{
	struct buffer value = { 0 };

	label->kind->decode(label, key, &value);
	label_add(out, label->name, value.data, value.len);
	out->failed |= value.failed; /* an empty value is no label: another series */
	buffer_free(&value);
}

/* The labels of a row at its own level: the group first, then the key's members in their order. */
static void own_labels(struct buffer *out, const struct fold_table *t, struct row *row)
{
	if (row->group)
		buffer_add(out, row->group->labels, row->group->labels_len);
	for (size_t i = 0; i < t->table->nr_labels; i++) {
		const struct label *label = &t->table->labels[i];

		if (label->kind != label_kind_cgroup &&
		    !(t->table->has_who && label->offset < WHO_SIZE))
			add_key_label(out, label, row->data);
	}
}

/* The labels of a row at process level: pid, comm, the group, and what is not the group's alone. */
static void process_labels(struct buffer *out, const struct fold_table *t, struct row *row)
{
	for (size_t i = 0; i < t->table->nr_labels; i++)
		if (t->table->labels[i].kind != label_kind_cgroup &&
		    t->table->labels[i].offset < WHO_SIZE)
			add_key_label(out, &t->table->labels[i], row->data);
	buffer_add(out, ",", 1);
	buffer_add(out, row->group->labels, row->group->labels_len);
	for (size_t i = 0; i < t->table->nr_labels; i++) {
		const struct label *label = &t->table->labels[i];

		if (label->offset >= WHO_SIZE && !label->group_only)
			add_key_label(out, label, row->data);
	}
}

void fold_own(struct family *family, struct series *series, struct group *group)
{
	if (series->group)
		return;
	series->group = group;
	group_get(group);
	family->nr_nameless += group->hidden;
}

struct series *fold_series_of(struct fold_table *t, struct row *row, const struct cell *cell,
			      struct family *family, bool process)
{
	struct buffer labels = { 0 };
	struct series *series = NULL;

	if (process)
		process_labels(&labels, t, row);
	else
		own_labels(&labels, t, row);
	if (cell->by)
		label_add(&labels, cell->metric->by_label, cell->by, strlen(cell->by));
	if (!labels.failed)
		series = family_series(family, labels.data ? labels.data : "", labels.len);
	buffer_free(&labels);
	if (!series)
		return NULL;
	series->rows++;
	if (row->group)
		fold_own(family, series, row->group);
	if (process && !series->process)
		series->process = processes_get(t->fold->config.processes, row->process->pid);
	return series;
}

void fold_remove_series(struct fold *fold, struct family *family, struct series *series)
{
	const struct fold_config *config = &fold->config;
	struct group *group = series->group;

	family->nr_nameless -= group && group->hidden;
	if (series->process)
		series->process->hidden = series->hidden;
	processes_put(config->processes, series->process);
	family_remove(config->families, family, series);
	group_put(config->groups, group);
}
