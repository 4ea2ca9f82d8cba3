/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "histogram.h"
#include "label.h"
#include "schema_parts.h"

const char *const level_names[] = { "process", "cgroup", "node", "device", "netns", "other" };

int schema_bad(struct reader *r, const char *format, ...)
{
	size_t len = snprintf(r->why, r->why_size, "table %s: ", r->table->name);
	va_list args;

	if (len < r->why_size) {
		va_start(args, format);
		vsnprintf(r->why + len, r->why_size - len, format, args);
		va_end(args);
	}
	return -EINVAL;
}

void *schema_grow(void *array, size_t *n, size_t size)
{
	char *bigger = reallocarray(array, *n + 1, size);

	if (bigger)
		memset(bigger + (*n)++ * size, 0, size);
	return bigger;
}

const char *schema_name(const struct btf *btf, const struct btf_type *t)
{
	const char *name = btf__name_by_offset(btf, t->name_off);

	return name ? name : "";
}

const struct btf_type *schema_skip(const struct btf *btf, __u32 id, bool typedefs)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_mod(t) || (!typedefs && btf_is_typedef(t))))
		t = btf__type_by_id(btf, t->type);
	return t;
}

/* "tcp___by_cause" is about "tcp": what follows ___ is a flavour, as in CO-RE. */
static int base_len(const char *name)
{
	const char *flavour = strstr(name, "___");

	return flavour ? (int)(flavour - name) : (int)strlen(name);
}

static const char *help_of(const struct btf *btf, __u32 struct_id, int member)
{
	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (btf_is_decl_tag(t) && t->type == struct_id &&
		    btf_decl_tag(t)->component_idx == member)
			return schema_name(btf, t);
	}
	return NULL;
}

static struct cell *add_cell(struct table *table, __u32 offset)
{
	struct cell *cell = GROW(table->cells, table->nr_cells);

	if (cell) {
		cell->metric = (void *)(table->nr_metrics - 1); /* an index until the array rests */
		cell->word = offset / 8;
	}
	return cell;
}

/* A structure all of whose members are counter_t: the values of one label. */
static int read_counter_by(struct reader *r, const struct btf_type *t, struct metric *metric,
			   __u32 offset)
{
	const char *tag = schema_name(r->btf, t);

	metric->by_label = strndup(tag, base_len(tag));
	if (!metric->by_label)
		return -ENOMEM;
	for (int i = 0; i < btf_vlen(t); i++) {
		struct cell *cell = add_cell(r->table, offset + btf_member_bit_offset(t, i) / 8);

		if (!cell)
			return -ENOMEM;
		cell->by = strdup(btf__name_by_offset(r->btf, btf_members(t)[i].name_off));
		if (!cell->by)
			return -ENOMEM;
	}
	return 0;
}

static bool is_counter_by(const struct btf *btf, const struct btf_type *t)
{
	if (!btf_is_struct(t) || !btf_vlen(t) || !*schema_name(btf, t))
		return false;
	for (int i = 0; i < btf_vlen(t); i++)
		if (strcmp(schema_name(btf, schema_skip(btf, btf_members(t)[i].type, true)),
			   "counter_t"))
			return false;
	return true;
}

static int read_metric(struct reader *r, const struct btf_type *value, __u32 value_id, int i)
{
	const struct btf_member *m = &btf_members(value)[i];
	const struct btf_type *outer = schema_skip(r->btf, m->type, true);
	const struct btf_type *t = schema_skip(r->btf, m->type, false);
	const char *name = btf__name_by_offset(r->btf, m->name_off);
	const char *type = outer ? schema_name(r->btf, outer) : "";
	const char *help = help_of(r->btf, value_id, i);
	__u32 offset = btf_member_bit_offset(value, i) / 8;
	struct metric metric = { 0 }, *kept;
	bool by = t && is_counter_by(r->btf, t);

	if (!strcmp(type, "counter_t") || !strcmp(type, "rare_counter_t") || by)
		metric.kind = METRIC_COUNTER;
	else if (!strcmp(type, "gauge_t"))
		metric.kind = METRIC_GAUGE;
	else if (t && btf_is_struct(t) && !strcmp(type, "histogram"))
		metric.kind = METRIC_HISTOGRAM;
	else if (help)
		return schema_bad(r,
				  "%s: a metric cannot be of type '%s'; use COUNTER, GAUGE, "
				  "HISTOGRAM or COUNTER_BY",
				  name, type);
	else
		return 0; /* private state of the program */
	if (!help || !*help)
		return schema_bad(r, "%s: metric has no HELP", name);
	if (btf_member_bitfield_size(value, i) || offset % 8)
		return schema_bad(r, "%s: a metric must lie at a multiple of 8 bytes", name);
	if (metric.kind == METRIC_HISTOGRAM && (__u32)t->size != (HIST_SLOTS + 1) * 8)
		return schema_bad(r,
				  "%s: a histogram of %u bytes, expected %u: build it with this "
				  "exporter's metrics.bpf.h",
				  name, t->size, (HIST_SLOTS + 1) * 8);
	metric.rare = !strcmp(type, "rare_counter_t");
	kept = GROW(r->table->metrics, r->table->nr_metrics);
	if (!kept)
		return -ENOMEM;
	*kept = metric;
	kept->member = strdup(name);
	kept->help = strdup(help);
	if (!kept->member || !kept->help)
		return -ENOMEM;
	if (by)
		return read_counter_by(r, t, kept, offset);
	return add_cell(r->table, offset) ? 0 : -ENOMEM;
}

/* ebpf_[cgroup_]<table>_<member>[_seconds][_total] */
static char *family_name(const struct table *table, const struct metric *metric, const char *level)
{
	static const struct {
		const char *suffix;
		unsigned int scale;
	} units[] = { { "_ns", 9 }, { "_us", 6 }, { "_ms", 3 } };
	int table_len = base_len(table->name), member_len = base_len(metric->member);
	const char *unit = "";
	char *name;

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (metric->scale && metric->scale == units[i].scale) {
			unit = "_seconds";
			member_len -= 3;
		}
	if (asprintf(&name, "ebpf_%s%.*s%s%.*s%s%s", level, table_len, table->name,
		     table_len ? "_" : "", member_len, metric->member, unit,
		     metric->kind == METRIC_COUNTER ? "_total" : "") < 0)
		return NULL;
	return name;
}

static unsigned int scale_of(const char *member)
{
	int len = base_len(member);

	if (len < 4 || member[len - 3] != '_' || member[len - 1] != 's')
		return 0;
	return member[len - 2] == 'n'	? 9
	       : member[len - 2] == 'u' ? 6
	       : member[len - 2] == 'm' ? 3
					: 0;
}

static int name_families(struct reader *r)
{
	struct table *table = r->table;
	bool process_only = table->has_who && table->level == LEVEL_PROCESS;

	for (size_t i = 0; i < table->nr_metrics; i++) {
		struct metric *metric = &table->metrics[i];

		metric->scale = scale_of(metric->member);
		if (metric->kind == METRIC_HISTOGRAM && metric->scale != 9)
			return schema_bad(
				r, "%s: a histogram holds times in ns; its name must end in _ns",
				metric->member);
		if (table->has_who && metric->kind != METRIC_HISTOGRAM) {
			metric->process_family = family_name(table, metric, "");
			if (!metric->process_family)
				return -ENOMEM;
		}
		if (process_only)
			continue;
		metric->family = family_name(table, metric, table->has_who ? "cgroup_" : "");
		if (!metric->family)
			return -ENOMEM;
	}
	return 0;
}

static enum level level_of(const struct table *table)
{
	static const enum level levels[] = { LEVEL_CGROUP, LEVEL_NODE, LEVEL_DEVICE, LEVEL_NETNS };
	int len = base_len(table->name);

	if (table->has_who)
		return LEVEL_CGROUP;
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		const char *prefix = level_names[levels[i]];
		int n = strlen(prefix);

		if (len >= n && !strncmp(table->name, prefix, n) &&
		    (len == n || table->name[n] == '_'))
			return levels[i];
	}
	return LEVEL_OTHER;
}

static int check_map_type(struct reader *r)
{
	switch (r->table->map_type) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return 0;
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		return schema_bad(
			r, "an LRU map throws counts away in silence; use HASH or PERCPU_HASH");
	}
	return schema_bad(
		r, "map type %u cannot be a table; use HASH, PERCPU_HASH, ARRAY or PERCPU_ARRAY",
		r->table->map_type);
}

/* REFILLED_TABLE of bpf/metrics.bpf.h: emptying a table that counts would lose counts. */
static int read_refilled(struct reader *r)
{
	struct table *table = r->table;
	char mark[256];

	snprintf(mark, sizeof(mark), "%s___refilled", table->name);
	table->is_refilled = btf__find_by_name_kind(r->btf, mark, BTF_KIND_VAR) > 0;
	for (size_t i = 0; table->is_refilled && i < table->nr_metrics; i++)
		if (table->metrics[i].kind != METRIC_GAUGE)
			return schema_bad(r, "%s: a refilled table holds gauges alone; use TABLE",
					  table->metrics[i].member);
	if (table->is_refilled && table->map_type != BPF_MAP_TYPE_HASH)
		return schema_bad(r, "a refilled table must be a HASH");
	return 0;
}

/* Reads one map; a table without metrics afterwards is scratch space. */
static int read_table(struct reader *r, struct bpf_map *map)
{
	__u32 value_id = bpf_map__btf_value_type_id(map);
	const struct btf_type *value = value_id ? schema_skip(r->btf, value_id, false) : NULL;
	struct table *table = r->table;
	int err = 0;

	if (!value || !btf_is_struct(value))
		return 0;
	while (btf__type_by_id(r->btf, value_id) != value)
		value_id = btf__type_by_id(r->btf, value_id)->type;
	table->map = map;
	table->map_type = bpf_map__type(map);
	table->key_size = bpf_map__key_size(map);
	table->value_size = bpf_map__value_size(map);
	table->max_entries = bpf_map__max_entries(map);
	table->cgroup_at = -1;
	table->level = LEVEL_OTHER;
	for (int i = 0; i < btf_vlen(value) && !err; i++)
		err = read_metric(r, value, value_id, i);
	if (err || !table->nr_metrics)
		return err;
	for (size_t i = 0; i < table->nr_cells; i++)
		table->cells[i].metric = &table->metrics[(size_t)table->cells[i].metric];
	err = check_map_type(r);
	if (!err)
		err = read_refilled(r);
	if (!err)
		err = schema_read_key(r, bpf_map__btf_key_type_id(map));
	if (!err && table->level != LEVEL_PROCESS)
		table->level = level_of(table);
	if (!err && table->value_size % 8)
		return schema_bad(r, "the value must measure a multiple of 8 bytes");
	if (!err)
		err = schema_check_labels(r);
	return err ? err : name_families(r);
}

static void table_free(struct table *table)
{
	for (size_t i = 0; i < table->nr_labels; i++) {
		struct label *label = &table->labels[i];

		for (size_t k = 0; k < label->names.n; k++)
			free(label->names.values[k].name);
		free(label->names.values);
		free(label->name);
	}
	for (size_t i = 0; i < table->nr_metrics; i++) {
		free(table->metrics[i].member);
		free(table->metrics[i].help);
		free(table->metrics[i].by_label);
		free(table->metrics[i].family);
		free(table->metrics[i].process_family);
	}
	for (size_t i = 0; i < table->nr_cells; i++)
		free(table->cells[i].by);
	free(table->labels);
	free(table->metrics);
	free(table->cells);
	free(table->name);
}

int schema_read(struct schema *schema, struct bpf_object *object, const struct btf *kernel,
		char *why, size_t why_size)
{
	struct reader r = {
		.btf = bpf_object__btf(object), .kernel = kernel, .why = why, .why_size = why_size
	};
	struct bpf_map *map;
	int err = 0;

	*schema = (struct schema){ 0 };
	if (!r.btf) {
		snprintf(why, why_size,
			 "the object has no BTF; compile it with clang -target bpf -g");
		return -EINVAL;
	}
	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);

		if (bpf_map__is_internal(map) || !strncmp(name, "shared_", 7))
			continue;
		r.table = GROW(schema->tables, schema->nr_tables);
		if (!r.table || !(r.table->name = strdup(name))) {
			err = -ENOMEM;
			break;
		}
		err = read_table(&r, map);
		if (err)
			break;
		if (!r.table->nr_metrics)
			table_free(&schema->tables[--schema->nr_tables]);
	}
	if (err == -ENOMEM)
		snprintf(why, why_size, "out of memory");
	if (err)
		schema_free(schema);
	return err;
}

void schema_free(struct schema *schema)
{
	for (size_t i = 0; i < schema->nr_tables; i++)
		table_free(&schema->tables[i]);
	free(schema->tables);
	*schema = (struct schema){ 0 };
}

bool table_is_array(const struct table *table)
{
	return table->map_type == BPF_MAP_TYPE_ARRAY ||
	       table->map_type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

bool table_is_percpu(const struct table *table)
{
	return table->map_type == BPF_MAP_TYPE_PERCPU_HASH ||
	       table->map_type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

void schema_forget_value(struct table *table, const char *name, size_t len)
{
	for (size_t i = 0; i < table->nr_labels && table_is_array(table); i++) {
		struct enum_names *names = &table->labels[i].names;

		for (size_t k = 0; k < names->n; k++) {
			if (strlen(names->values[k].name) != len ||
			    memcmp(names->values[k].name, name, len))
				continue;
			free(names->values[k].name);
			names->values[k] = names->values[--names->n];
			break;
		}
	}
}

void schema_families(const struct table *table,
		     void (*each)(const struct table *table, const struct metric *metric,
				  const char *name, enum level level, void *arg),
		     void *arg)
{
	for (size_t i = 0; i < table->nr_metrics; i++) {
		const struct metric *metric = &table->metrics[i];

		if (metric->process_family)
			each(table, metric, metric->process_family, LEVEL_PROCESS, arg);
		if (metric->family)
			each(table, metric, metric->family, table->level, arg);
	}
}
