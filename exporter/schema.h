/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * schema: an object's BTF -> tables, labels, metrics. bpf/metrics.bpf.h says what a declaration
 * looks like; this is the only place that reads one, and that rejects a bad one by name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "snapshot.h"

struct btf;
struct bpf_object;
struct bpf_map;
struct label_kind;
struct file_table;

#define WHO_SIZE 32 /* struct who of bpf/who.bpf.h: cgroup, pid, comm */
#define WHO_PID	 8  /* where the pid is in it */

/* Which level a family counts at; its prefix says so. */
enum level { LEVEL_PROCESS, LEVEL_CGROUP, LEVEL_NODE, LEVEL_DEVICE, LEVEL_NETNS, LEVEL_OTHER };
extern const char *const level_names[];

/* The values of an enum, by name. */
struct enum_names {
	size_t n;
	struct {
		int64_t value;
		char *name;
	} * values;
};

/* One label: a member of a key. */
struct label {
	char *name;
	uint32_t offset, size;
	const struct label_kind *kind; /* how it becomes text */
	struct enum_names names;       /* of an enum */
	bool is_signed;
	bool group_only; /* a label of the group level alone */
};

/* One sample of a row: a counter, a gauge, a whole histogram, or one value of a COUNTER_BY. */
struct cell {
	struct metric *metric;
	char *by;      /* the value of the metric's own label, NULL without one */
	uint32_t word; /* index of its first u64 in the value */
};

/* One metric: a member of a value. */
struct metric {
	char *member;
	char *help;
	enum metric_kind kind;
	unsigned int scale; /* see snapshot.h */
	bool rare;	    /* 0 for each known group from the start */
	char *by_label;	    /* the label's name for COUNTER_BY, else NULL */
	char *family;	    /* the name at the table's own level; NULL when there is none */
	char *process_family;
};

struct table {
	char *name;
	struct bpf_map *map;	       /* NULL in a schema made without an object */
	const struct file_table *file; /* NULL: a map; else read from kernel files (files.h) */
	uint32_t map_type, key_size, value_size, max_entries;
	enum level level;  /* of `family`; LEVEL_PROCESS when the table has that level alone */
	bool has_who;	   /* the key begins with a struct who */
	bool is_refilled;  /* emptied before its object's iterators run; gauges alone */
	int32_t cgroup_at; /* offset of the key's cgroup id, -1 without one */
	struct label *labels;
	size_t nr_labels;
	struct metric *metrics;
	size_t nr_metrics;
	struct cell *cells;
	size_t nr_cells;
};

struct schema {
	struct table *tables;
	size_t nr_tables;
};

/*
 * Reads what `object` declares. `kernel` (may be NULL) is the running kernel's BTF: its enums name
 * the values of labels of the same type. Call it before load: libbpf drops key types that old
 * kernels refuse. Returns 0 or -EINVAL (a bad declaration) or -ENOMEM with one line in `why`
 * ("table t: x: metric has no HELP").
 */
int schema_read(struct schema *schema, struct bpf_object *object, const struct btf *kernel,
		char *why, size_t why_size);
void schema_free(struct schema *schema);

/* True for map types whose rows exist from the start: a zero in them is a statement. */
bool table_is_array(const struct table *table);
bool table_is_percpu(const struct table *table);

/* Takes the name of an enum's value from the labels of an array: its row is not shown while it is
 * 0. */
void schema_forget_value(struct table *table, const char *name, size_t len);

/* Calls `each` for every family the table has: its name, level and metric, in order. */
void schema_families(const struct table *table,
		     void (*each)(const struct table *table, const struct metric *metric,
				  const char *name, enum level level, void *arg),
		     void *arg);
