/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_schema OBJECT: what an object's tables look like when they are scraped, without a kernel.
 *
 * Each table gets rows made from its key's layout: a label counts up from row to row, groups are those
 * of a small tree, processes come with them; the values count up through the whole object. Devices
 * and interfaces have no names here (their numbers are all that every machine agrees on).
 */
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "world.h"

#define ROWS 3

static const char *const paths[ROWS] = { "/system.slice/nginx.service", "/kubepods/burstable/pod1/c1", "/" };
static const char *const comms[ROWS] = { "nginx", "a \"quoted\" \\", "0123456789abcdef" };

static uint64_t next_value = 1;

/* A label's value in row `row`: of an enum one of its own, else what the number says. */
static uint64_t number_for(const struct label *label, size_t row)
{
	if (label->names.n)
		return label->names.values[row % label->names.n].value;
	if (label->kind->type && !strcmp(label->kind->type, "dev_t"))
		return 8 << 20 | row;
	if (label->kind->type && !strcmp(label->kind->type, "ifindex_t"))
		return 1000000 + row; /* no machine has that many */
	return row + 1;
}

static void fill_key(struct world *w, const struct table *table, size_t row, unsigned char *key)
{
	memset(key, 0, table->key_size);
	for (size_t i = 0; i < table->nr_labels; i++) {
		const struct label *label = &table->labels[i];
		uint64_t number = number_for(label, row);

		if (label->kind == label_kind_cgroup)
			number = world_cgroup(w, paths[row]);
		else if (table->has_who && !strcmp(label->name, "pid"))
			number = 100 + row;
		if (label->kind->type && !strcmp(label->kind->type, "comm_t"))
			memcpy(key + label->offset, comms[row], strnlen(comms[row], label->size));
		else if (label->kind == &label_kind_chars)
			key[label->offset] = 'a' + row;
		else if (label->size <= 8)
			memcpy(key + label->offset, &number, label->size); /* little endian, as the object */
		else
			key[label->offset + label->size - 1] = number;
	}
}

/* One observation in every eighth slot and the rest: each classic bucket shows. */
static void fill_value(const struct table *table, uint64_t *value)
{
	memset(value, 0, table->value_size);
	for (size_t i = 0; i < table->nr_cells; i++) {
		const struct cell *cell = &table->cells[i];

		if (cell->metric->kind != METRIC_HISTOGRAM) {
			value[cell->word] = next_value++;
			continue;
		}
		for (size_t slot = 0; slot < HIST_SLOTS; slot += HIST_CLASSIC_STEP)
			value[cell->word + slot] = 1;
		value[cell->word + HIST_SLOTS - 1] = 1;
		value[cell->word + HIST_SLOTS] = next_value++;
	}
}

static size_t rows_of(const struct table *table)
{
	bool whole = table_is_array(table) && !(table->nr_labels && label_is_sparse(table->labels));

	return whole ? table->max_entries : ROWS;
}

static void fold_rows_of(struct world *w, size_t i)
{
	const struct table *table = &w->schema.tables[i];
	unsigned char *key = calloc(1, table->key_size);
	uint64_t *value = calloc(1, table->value_size);

	world_must(key && value, "memory");
	for (size_t row = 0; row < rows_of(table); row++) {
		fill_key(w, table, row % ROWS, key);
		if (table_is_array(table))
			memcpy(key, &(uint32_t){ row }, sizeof(uint32_t));
		fill_value(table, value);
		world_must(!fold_row(w->tables[i], key, value), table->name);
	}
	free(key);
	free(value);
}

int main(int argc, char **argv)
{
	struct buffer out = { 0 };
	struct snapshot *snapshot;
	struct world *w;

	if (argc != 2) {
		fprintf(stderr, "usage: %s OBJECT\n", argv[0]);
		return 2;
	}
	label_set_sysfs("/nonexistent");
	w = world_new(argv[1], 10, true);
	for (size_t i = 0; i < ROWS; i++)
		world_cgroup(w, paths[i]);
	world_walk(w);
	for (size_t i = 0; i < w->schema.nr_tables; i++)
		fold_rows_of(w, i);
	fold_tick(w->fold, w->now_ns, true);
	world_must(!families_publish(w->families, w->store, 1000, NULL, 0), "publish");
	snapshot = snapshot_acquire(w->store);
	render_text(&out, snapshot);
	if (out.len)
		fwrite(out.data, 1, out.len, stdout);
	snapshot_release(w->store, snapshot);
	buffer_free(&out);
	world_free(w);
	return 0;
}
