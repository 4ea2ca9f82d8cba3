/* SPDX-License-Identifier: GPL-2.0-only */
/* fold: arrays, gauges, histograms. The laws that hold for all of them: fold_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "histogram.h"
#include "label.h"
#include "world.h"

#define SHARD_WORDS (HIST_SLOTS + 3)

static int setup(void **state)
{
	*state = world_new(TEST_OBJECTS "/fold.bpf.o", 10, true);
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static bool yes(struct fold_table *table, const void *key, void *arg)
{
	(void)table, (void)key;
	++*(int *)arg;
	return true;
}

static int reap(struct world *w, const char *table)
{
	int n = 0;

	fold_dead_rows(world_table(w, table), yes, &n);
	return n;
}

/* Bug: an array's zero is not said, one that its enum has no name for is, or a hash's zero is. */
static void test_arrays(void **state)
{
	struct world *w = *state;
	const char *drops = "ebpf_node_by_cause_drops_total";
	uint64_t zero = 0, one = 1;

	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(fold_row(world_table(w, "node_by_cause"), &i, &zero), 0);
		assert_int_equal(fold_row(world_table(w, "device_by_cause"), &i, &zero), 0);
	}
	assert_int_equal(fold_row(world_table(w, "node_all"), &(uint32_t){ 0 }, &zero), 0);
	assert_int_equal(families_find(w->families, drops)->nr_series, 3);
	assert_int_equal(world_value(w, drops, "cause=\"slow\""), 0);
	assert_int_equal(world_value(w, "ebpf_node_all_drops_total", ""), 0);
	assert_int_equal(families_find(w->families, "ebpf_device_by_cause_drops_total")->nr_series, 0);
	assert_int_equal(fold_row(world_table(w, "node_by_cause"), &(uint32_t){ 3 }, &one), 0);
	assert_int_equal(world_value(w, drops, "cause=\"unknown_3\""), 1);
	assert_int_equal(fold_row(world_table(w, "device_by_cause"), &(uint32_t){ 1 }, &one), 0);
	assert_int_equal(world_value(w, "ebpf_device_by_cause_drops_total", "cause=\"fast\""), 1);
	assert_int_equal(reap(w, "node_by_cause"), 0);
}

/* Bug: each number that an interrupt may have is one that did nothing; row 0 counts nothing. */
static void test_sparse_array(void **state)
{
	struct world *w = *state;
	const char *drops = "ebpf_node_by_irq_drops_total";
	uint64_t zero = 0, two = 2;

	label_set_sysfs("/nonexistent");
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(fold_row(world_table(w, "node_by_irq"), &i, &zero), 0);
	assert_int_equal(families_find(w->families, drops)->nr_series, 0);
	assert_int_equal(fold_row(world_table(w, "node_by_irq"), &(uint32_t){ 6 }, &two), 0);
	assert_int_equal(fold_row(world_table(w, "node_by_irq"), &(uint32_t){ 0 }, &two), 0);
	assert_int_equal(families_find(w->families, drops)->nr_series, 2);
	assert_int_equal(world_value(w, drops, "name=\"irq5\""), 2);
	assert_int_equal(world_value(w, drops, "name=\"other\""), 2);
	label_set_sysfs("/sys");
}

/* Bug: a gauge only grows, or shows for ever what a row held that is gone. */
static void test_gauge(void **state)
{
	struct world *w = *state;
	struct fold_table *t = world_table(w, "cgroup_files");
	const char *open_now = "ebpf_cgroup_files_open";
	uint64_t a = world_cgroup(w, "/a.scope/1"), b = world_cgroup(w, "/a.scope/2");
	static const uint64_t values[] = { 10, 3, 7, 7, 7 };

	world_walk(w);
	assert_int_equal(fold_row(t, &b, &(uint64_t){ 100 }), 0);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(fold_row(t, &a, &values[i]), 0);
		assert_int_equal(world_value(w, open_now, "unit=\"a.scope\""), 100 + values[i]);
		fold_polled(t);
	}
	world_cgroup_gone(w, "/a.scope/1");
	world_tick(w, 1);
	assert_int_equal(reap(w, "cgroup_files"), 1);
	assert_int_equal(world_value(w, open_now, "unit=\"a.scope\""), 100);
}

/* Bug: a row that is 0 does not show, one that went still does, or takes the sum of its group along. */
static void test_refilled(void **state)
{
	struct world *w = *state;
	struct fold_table *t = world_table(w, "cgroup_ports");
	const char *open_now = "ebpf_cgroup_ports_open";
	uint64_t early[2] = { world_cgroup(w, "/b.scope") }, none[2] = { 0 };
	uint64_t a[2], b[2];

	a[0] = b[0] = world_cgroup(w, "/a.scope");
	a[1] = 1;
	b[1] = 2;
	/* before its cgroup was walked */
	assert_int_equal(fold_row(t, early, &(uint64_t){ 9 }), 0);
	assert_int_equal(fold_row(t, none, &(uint64_t){ 0 }), 0);
	fold_rows_not_met(t);
	assert_int_equal(families_find(w->families, open_now)->nr_series, 1);
	world_walk(w);
	/* unchanged, but now its group is known */
	assert_int_equal(fold_row(t, early, &(uint64_t){ 9 }), 0);
	assert_int_equal(fold_row(t, a, &(uint64_t){ 0 }), 0);
	fold_rows_not_met(t);
	assert_int_equal(world_value(w, open_now, "unit=\"b.scope\""), 9);
	assert_int_equal(world_value(w, open_now, "unit=\"a.scope\""), 0);
	assert_int_equal(fold_rows(t), 2);
	/* two rows of one series, then one, then none */
	assert_int_equal(fold_row(t, a, &(uint64_t){ 5 }), 0);
	assert_int_equal(fold_row(t, b, &(uint64_t){ 7 }), 0);
	fold_rows_not_met(t);
	assert_int_equal(world_value(w, open_now, "unit=\"a.scope\""), 12);
	assert_int_equal(fold_row(t, b, &(uint64_t){ 7 }), 0);
	fold_rows_not_met(t);
	assert_int_equal(world_value(w, open_now, "unit=\"a.scope\""), 7);
	fold_rows_not_met(t);
	assert_int_equal(fold_rows(t), 0);
	assert_int_equal(families_find(w->families, open_now)->nr_removed,
			 families_find(w->families, open_now)->nr_series);
	assert_int_equal(reap(w, "cgroup_ports"), 0);
}

/* Bug: slots or the sum of a histogram go to the wrong place, shards overwrite each other. */
static void test_histogram(void **state)
{
	uint64_t value[SHARD_WORDS] = { 0 }, key[2] = { 0 };
	struct world *w = *state;
	struct fold_table *t = world_table(w, "cgroup_shard");
	const struct series *series;

	key[0] = world_cgroup(w, "/a");
	world_walk(w);
	for (key[1] = 0; key[1] < 2; key[1]++) {
		for (size_t i = 0; i < SHARD_WORDS; i++)
			value[i] = i + key[1];
		assert_int_equal(fold_row(t, key, value), 0);
	}
	series = world_series(w, "ebpf_cgroup_shard_took_seconds", "cgroup=\"/a\"");
	assert_non_null(series);
	for (size_t i = 0; i <= HIST_SLOTS; i++)
		assert_int_equal(series->slots[i], 2 * i + 1);
	assert_int_equal(world_value(w, "ebpf_cgroup_shard_tries_total", "cgroup=\"/a\",kind=\"good\""),
			 2 * (HIST_SLOTS + 1) + 1);
	assert_int_equal(world_value(w, "ebpf_cgroup_shard_tries_total", "cgroup=\"/a\",kind=\"bad\""),
			 2 * (HIST_SLOTS + 2) + 1);
	world_cgroup_gone(w, "/a");
	world_tick(w, 1);
	for (int i = 0; i < 4; i++) {
		for (key[1] = 0; key[1] < 2; key[1]++) {
			for (size_t k = 0; k < SHARD_WORDS; k++)
				value[k] = k + key[1];
			assert_int_equal(fold_row(t, key, value), 0);
		}
		fold_polled(t);
	}
	assert_int_equal(reap(w, "cgroup_shard"), 2);
	world_tick(w, 10);
	series = world_series(w, "ebpf_cgroup_shard_took_seconds", "cgroup=\"(removed)\"");
	assert_non_null(series);
	for (size_t i = 0; i <= HIST_SLOTS; i++)
		assert_int_equal(series->slots[i], 2 * i + 1);
	assert_int_equal(world_value(w, "ebpf_cgroup_shard_tries_total", "cgroup=\"(removed)\",kind=\"bad\""),
			 2 * (HIST_SLOTS + 2) + 1);
}

/* Bug: two collectors write one family, and nobody notices. */
static void test_duplicate_family(void **state)
{
	struct world *w = *state;
	char why[256] = "";

	errno = 0;
	assert_null(fold_add_table(w->fold, &w->schema.tables[0], why, sizeof(why)));
	assert_int_equal(errno, EEXIST);
	assert_string_equal(why, "ebpf_cgroup_who_plain_hits_total is declared by another collector already; rename the table or the member");
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_arrays), T(test_sparse_array), T(test_gauge), T(test_refilled), T(test_histogram),
					    T(test_duplicate_family) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
