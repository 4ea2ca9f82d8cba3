/* SPDX-License-Identifier: GPL-2.0-only */
/* schema: what declarations are read as, and what bad ones are told. The objects: tests/unit/objects. */
#include "objects.h"

#include "histogram.h"

/* ---- bad declarations ---- */

struct bad_case {
	const char *object, *line;
};

#define WHO_WRONG "'struct who' is not the one of this exporter's who.bpf.h"

/* Catches a bad declaration that is taken, or refused with a line that does not name what is wrong. */
static const struct bad_case bad_cases[] = {
	{ "bad_no_help", "table t: y: metric has no HELP" },
	{ "bad_no_help_by", "table t: y: metric has no HELP" },
	{ "bad_float_label", "table t: load: a label cannot be of type 'float'; use an integer, an enum, "
			     "char[] or a label type of metrics.bpf.h" },
	{ "bad_pointer_label", "table t: pointer: a label cannot be of type '(anonymous)'; use an integer, an "
			       "enum, char[] or a label type of metrics.bpf.h" },
	{ "bad_wide_label", "table t: wide: a label cannot have 16 bytes" },
	{ "bad_label_size", "table t: address: 'in6_addr' measures 8 bytes, expected 16" },
	{ "bad_bit_field", "table t: a: a label cannot be a bit field" },
	{ "bad_hole", "table t: the key has a hole before 'c'; fill it with a member whose name starts with '_'" },
	{ "bad_hole_at_end",
	  "table t: the key has a hole at its end; fill it with a member whose name starts with '_'" },
	{ "bad_hole_in_group",
	  "table t: group: the structure has a hole at its end; fill it with a member whose name starts with '_'" },
	{ "bad_integer_key", "table t: the key must be a struct or an enum: its names are the label names" },
	{ "bad_unnamed_enum", "table t: an enum as key needs a name: it is the label's" },
	{ "bad_lru", "table t: an LRU map throws counts away in silence; use HASH or PERCPU_HASH" },
	{ "bad_queue", "table t: map type 22 cannot be a table; use HASH, PERCPU_HASH, ARRAY or PERCPU_ARRAY" },
	{ "bad_histogram_of_bytes",
	  "table t: size: a histogram holds times in ns; its name must end in _ns" },
	{ "bad_histogram_in_us",
	  "table t: took_us: a histogram holds times in ns; its name must end in _ns" },
	{ "bad_histogram_size", "table t: took_ns: a histogram of 168 bytes, expected 792: build it with this "
				"exporter's metrics.bpf.h" },
	{ "bad_metric_at_4", "table t: x: a metric must lie at a multiple of 8 bytes" },
	{ "bad_value_of_12", "table t: the value must measure a multiple of 8 bytes" },
	{ "bad_two_of_a_name", "table t: two labels are called 'pid'; rename one" },
	{ "bad_label_of_group", "table t: pod: the cgroup makes a label of that name; rename the member" },
	{ "bad_two_cgroups", "table t: to: a key has one cgroup id, and 'from' is one" },
	{ "bad_by_is_label", "table t: y: its own label 'kind' is one of the key's too; rename one" },
	{ "bad_rare_with_label", "table t: y: a RARE_COUNTER has no label but its group, and 'a' is one" },
	{ "bad_label_le", "table t: le: a histogram has a label of that name; rename the member" },
	{ "bad_who_second", "table t: who: 'struct who' must come first in the key" },
	{ "bad_other_structure",
	  "table t: other: a structure in a key is 'struct who who' or, after that, 'group'" },
	{ "bad_group_without_who",
	  "table t: group: a structure in a key is 'struct who who' or, after that, 'group'" },
	{ "bad_metric_type",
	  "table t: x: a metric cannot be of type '__u32'; use COUNTER, GAUGE, HISTOGRAM or COUNTER_BY" },
	{ "bad_refilled_counter", "table t: y: a refilled table holds gauges alone; use TABLE" },
	{ "bad_refilled_percpu", "table t: a refilled table must be a HASH" },
	{ "foreign_who", "table t: " WHO_WRONG },
	{ "foreign_who_inside", "table t: " WHO_WRONG },
	{ "no_btf_none", "the object has no BTF; compile it with clang -target bpf -g" },
};

static void test_bad(void **state)
{
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_cases) / sizeof(*bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];
		char path[256], why[512] = "";
		struct bpf_object *object;
		struct schema schema;
		int err = 0;

		snprintf(path, sizeof(path), "%s/%s.bpf.o", TEST_OBJECTS, c->object);
		object = object_open_file(path, false, why, sizeof(why));
		if (object)
			err = schema_read(&schema, object, NULL, why, sizeof(why));
		if (!object || err != -EINVAL || strcmp(why, c->line)) {
			print_error("%s: got %d \"%s\", expected \"%s\"\n", c->object, err, why, c->line);
			failed++;
		}
		if (object && !err)
			schema_free(&schema);
		bpf_object__close(object);
	}
	assert_int_equal(failed, 0);
}

/* Catches a case in bad.bpf.c that nobody expects anything of. */
static void test_bad_are_all_here(void **state)
{
	FILE *file = fopen("tests/unit/objects/bad.bpf.c", "re");
	char line[256], name[64], object[80];

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		size_t i = 0;

		if (sscanf(line, "#ifdef %63s", name) != 1)
			continue;
		snprintf(object, sizeof(object), "bad_%s", name);
		while (i < sizeof(bad_cases) / sizeof(*bad_cases) && strcmp(bad_cases[i].object, object))
			i++;
		if (i == sizeof(bad_cases) / sizeof(*bad_cases))
			fail_msg("%s is in no test", object);
	}
	fclose(file);
}

/* Catches a line that is cut in the middle of memory: `why` may be short. */
static void test_short_why(void **state)
{
	char path[256], why[12] = "", none[1] = "x";
	struct bpf_object *object;
	struct schema schema;

	(void)state;
	snprintf(path, sizeof(path), "%s/bad_lru.bpf.o", TEST_OBJECTS);
	object = object_open_file(path, false, why, sizeof(why));
	assert_non_null(object);
	assert_int_equal(schema_read(&schema, object, NULL, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "table t: an");
	assert_int_equal(schema_read(&schema, object, NULL, none, sizeof(none)), -EINVAL);
	assert_string_equal(none, "");
	bpf_object__close(object);
}

/* ---- good declarations ---- */

struct fixture {
	struct bpf_object *object;
	struct schema schema;
};

static int open_good(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->object = object_schema("good", &f->schema);
	*state = f;
	return 0;
}

static int close_good(void **state)
{
	struct fixture *f = *state;

	schema_free(&f->schema);
	bpf_object__close(f->object);
	free(f);
	return 0;
}

struct listing {
	char text[4096];
	size_t len;
};

static void list_family(const struct table *table, const struct metric *metric, const char *name,
			enum level level, void *arg)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram" };
	struct listing *l = arg;

	l->len += snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s %s %s %s %u%s%s%s\n", table->name,
			   name, level_names[level], kinds[metric->kind], metric->scale,
			   metric->rare ? " rare" : "", metric->by_label ? " by " : "",
			   metric->by_label ? metric->by_label : "");
}

/* Catches a wrong name, level, kind or scale, scratch space that is exported, and a table left out. */
static void test_families(void **state)
{
	struct fixture *f = *state;
	struct listing l = { 0 };

	for (size_t i = 0; i < f->schema.nr_tables; i++)
		schema_families(&f->schema.tables[i], list_family, &l);
	assert_string_equal(l.text, "all ebpf_all_hits_total other counter 0\n"
				    "both___flavour ebpf_both_bytes_total process counter 0\n"
				    "both___flavour ebpf_cgroup_both_bytes_total cgroup counter 0\n"
				    "both___flavour ebpf_both_wait_seconds_total process counter 9\n"
				    "both___flavour ebpf_cgroup_both_wait_seconds_total cgroup counter 9\n"
				    "both___flavour ebpf_both_falls_total process counter 0\n"
				    "both___flavour ebpf_cgroup_both_falls_total cgroup counter 0\n"
				    "both___flavour ebpf_both_tries_total process counter 0 by kind\n"
				    "both___flavour ebpf_cgroup_both_tries_total cgroup counter 0 by kind\n"
				    "both___flavour ebpf_both_level_seconds process gauge 6\n"
				    "both___flavour ebpf_cgroup_both_level_seconds cgroup gauge 6\n"
				    "both___flavour ebpf_cgroup_both_took_seconds cgroup histogram 9\n"
				    "rare ebpf_rare_slips_total process counter 0 rare\n"
				    "rare ebpf_cgroup_rare_slips_total cgroup counter 0 rare\n"
				    "___lone ebpf_runs_seconds_total process counter 3\n"
				    "node_paint ebpf_node_paint_drops_total node counter 0\n"
				    "node ebpf_node_drops_total node counter 0\n"
				    "device_paint ebpf_device_paint_drops_total device counter 0\n"
				    "netns_paint ebpf_netns_paint_drops_total netns counter 0\n"
				    "nodeless ebpf_nodeless_drops_total other counter 0\n"
				    "cgroup___bare ebpf_cgroup_drops_total cgroup counter 0\n");
}

/* Catches a label at the wrong place, of the wrong size or kind, padding as a label, a lost flag. */
static void test_labels(void **state)
{
	static const struct {
		const char *name, *kind;
		uint32_t offset, size;
		bool is_signed;
	} want[] = {
		{ "cgroup", "cgroup_id_t", 0, 8, false }, { "comm", "comm_t", 8, 16, false },
		{ "peer6", "in6_addr", 24, 16, false },	  { "peer4", "__be32", 40, 4, false },
		{ "pid", "pid_t", 44, 4, true },	  { "device", "dev_t", 48, 4, false },
		{ "interface", "ifindex_t", 52, 4, false }, { "errno", "errno_t", 56, 4, true },
		{ "signal", "signal_t", 60, 4, false },	  { "color", "enum", 64, 4, true },
		{ "text", "chars", 68, 12, false },	  { "large", "integer", 80, 8, true },
		{ "port", "__be16", 88, 2, false },	  { "small", "integer", 90, 2, false },
		{ "tiny", "integer", 92, 1, true },	  { "flag", "integer", 93, 1, false },
	};
	struct fixture *f = *state;
	const struct table *all = table_named(&f->schema, "all");

	assert_int_equal(all->nr_labels, sizeof(want) / sizeof(*want));
	assert_int_equal(all->key_size, 96);
	assert_int_equal(all->cgroup_at, 0);
	assert_false(all->has_who);
	assert_true(table_is_percpu(all));
	assert_false(table_is_array(all));
	for (size_t i = 0; i < all->nr_labels; i++) {
		const struct label *label = &all->labels[i];
		const char *kind = label->kind == &label_kind_enum	? "enum" :
				   label->kind == &label_kind_chars	? "chars" :
				   label->kind == &label_kind_integer	? "integer" :
									  label->kind->type;

		assert_string_equal(label->name, want[i].name);
		assert_string_equal(kind, want[i].kind);
		assert_int_equal(label->offset, want[i].offset);
		assert_int_equal(label->size, want[i].size);
		if (label->is_signed != want[i].is_signed)
			fail_msg("%s: signed %d", label->name, label->is_signed);
		assert_false(label->group_only);
	}
}

/* Catches enum values by the wrong name: prefix kept, case kept, one that only looks like the prefix. */
static void test_enum(void **state)
{
	static const struct {
		int64_t value;
		const char *name;
	} want[] = { { 0, "none" }, { 5, "red" }, { -1, "bad" }, { 7, "blue" } };
	struct fixture *f = *state;
	const struct label *label = &table_named(&f->schema, "node_paint")->labels[0];

	assert_string_equal(label->name, "color"); /* the enum's own name */
	assert_int_equal(label->names.n, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(label->names.values[i].value, want[i].value);
		assert_string_equal(label->names.values[i].name, want[i].name);
	}
}

/* Catches a group's own label at process level, a `who` that is not seen, and cells at wrong words. */
static void test_who(void **state)
{
	static const struct {
		const char *member, *by;
		uint32_t word;
	} want[] = {
		{ "bytes", NULL, 0 }, { "wait_ns", NULL, 1 },	{ "falls", NULL, 2 },
		{ "tries___again", "good", 4 }, { "tries___again", "bad", 5 },
		{ "level_us", NULL, 6 }, { "took_ns", NULL, 7 },
	};
	struct fixture *f = *state;
	const struct table *both = table_named(&f->schema, "both___flavour");
	const struct table *lone = table_named(&f->schema, "___lone");

	assert_true(both->has_who);
	assert_int_equal(both->cgroup_at, 0);
	assert_int_equal(both->nr_labels, 5); /* cgroup, pid, comm, color, errno */
	assert_string_equal(both->labels[3].name, "color");
	assert_true(both->labels[3].group_only);
	assert_string_equal(both->labels[4].name, "errno");
	assert_false(both->labels[4].group_only);
	assert_int_equal(both->value_size, (7 + HIST_SLOTS + 1) * 8);
	assert_int_equal(both->nr_cells, sizeof(want) / sizeof(*want));
	for (size_t i = 0; i < both->nr_cells; i++) {
		assert_string_equal(both->cells[i].metric->member, want[i].member);
		assert_int_equal(both->cells[i].word, want[i].word);
		assert_true(!both->cells[i].by == !want[i].by);
		if (want[i].by)
			assert_string_equal(both->cells[i].by, want[i].by);
	}
	assert_string_equal(both->metrics[1].help, "Wait, with a \"quote\" and a \\ in its help.");
	assert_string_equal(both->metrics[4].help, "Level.");

	assert_true(lone->has_who);
	assert_int_equal(lone->level, LEVEL_PROCESS);
	assert_null(lone->metrics[0].family);
	assert_true(table_is_array(table_named(&f->schema, "node")));
	assert_int_equal(table_named(&f->schema, "node")->nr_labels, 0);
}

/* Catches the zeros of what nobody counts, and the loss of another value's name. */
static void test_forget_value(void **state)
{
	struct fixture *f = *state;
	struct table *array = NULL;
	size_t n;

	for (size_t i = 0; i < f->schema.nr_tables; i++)
		if (table_is_array(&f->schema.tables[i]) && f->schema.tables[i].nr_labels == 1 &&
		    f->schema.tables[i].labels[0].names.n > 1)
			array = &f->schema.tables[i];
	assert_non_null(array);
	n = array->labels[0].names.n;
	char *first = strdup(array->labels[0].names.values[0].name);
	schema_forget_value(array, first, strlen(first) - 1); /* its beginning is another name */
	assert_int_equal(array->labels[0].names.n, n);
	schema_forget_value(array, first, strlen(first));
	assert_int_equal(array->labels[0].names.n, n - 1);
	for (size_t i = 0; i < n - 1; i++)
		assert_string_not_equal(array->labels[0].names.values[i].name, first);
	free(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bad_are_all_here),
		cmocka_unit_test(test_short_why),
		cmocka_unit_test_setup_teardown(test_families, open_good, close_good),
		cmocka_unit_test_setup_teardown(test_labels, open_good, close_good),
		cmocka_unit_test_setup_teardown(test_enum, open_good, close_good),
		cmocka_unit_test_setup_teardown(test_who, open_good, close_good),
		cmocka_unit_test_setup_teardown(test_forget_value, open_good, close_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
