/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fold: the laws of counting, one by one. fold_kinds_test.c has the kinds of metrics,
 * fold_random_test.c tries them all at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "world.h"

#define FOLD TEST_OBJECTS "/fold.bpf.o"
#define HITS "ebpf_who_plain_hits_total"
#define CGROUP_HITS "ebpf_cgroup_who_plain_hits_total"

static int setup(void **state)
{
	*state = world_new(FOLD, 10, true);
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static void hit(struct world *w, uint64_t cgroup, int pid, const char *comm, uint64_t hits)
{
	struct world_who key = world_who(cgroup, pid, comm);
	uint64_t value[2] = { hits, 0 };

	assert_int_equal(fold_row(world_table(w, "who_plain"), &key, value), 0);
	fold_polled(world_table(w, "who_plain"));
}

static bool yes(struct fold_table *table, const void *key, void *arg)
{
	(void)table, (void)key;
	++*(int *)arg;
	return true;
}

static bool no(struct fold_table *table, const void *key, void *arg)
{
	(void)table, (void)key;
	++*(int *)arg;
	return false;
}

static int reap(struct world *w, const char *table)
{
	int n = 0;

	fold_dead_rows(world_table(w, table), yes, &n);
	return n;
}

/* Bug: cgroups of one unit overwrite each other instead of adding up; a row that is read twice counts twice. */
static void test_equal_labels_add_up(void **state)
{
	struct world *w = *state;
	uint64_t a = world_cgroup(w, "/system.slice/a.service/x"),
		 b = world_cgroup(w, "/system.slice/a.service/y"), other = world_cgroup(w, "/other");

	world_walk(w);
	hit(w, a, 1, "one", 3);
	hit(w, b, 2, "two", 4);
	hit(w, other, 3, "three", 5);
	hit(w, a, 1, "one", 3);
	hit(w, a, 0, "", 10); /* the group's row, when the table is full */
	assert_int_equal(world_value(w, CGROUP_HITS, "unit=\"a.service\""), 17);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/other\""), 5);
	assert_int_equal(world_value(w, HITS, "pid=\"1\",comm=\"one\",unit=\"a.service\""), 3);
	assert_int_equal(world_value(w, HITS, "pid=\"2\",comm=\"two\",unit=\"a.service\""), 4);
	assert_int_equal(world_sum(w, HITS), 12); /* pid 0 is nobody */
	hit(w, 0, 0, "", 100);			  /* the row of zeros */
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"(overflow)\""), 100);
	assert_int_equal(world_sum(w, CGROUP_HITS), 122);
	assert_int_equal(fold_rows(world_table(w, "who_plain")), 5);
}

/* Bug: what a row counted goes with it, or it counts again from the old value when it comes back. */
static void test_row_leaves_and_comes_back(void **state)
{
	struct world *w = *state;
	const char *labels = "pid=\"7\",comm=\"sh\",cgroup=\"/a\"";
	uint64_t a = world_cgroup(w, "/a");
	int asked = 0;

	world_process(w, 7, true);
	world_walk(w);
	hit(w, a, 7, "sh", 5);
	world_tick(w, 1);
	assert_int_equal(reap(w, "who_plain"), 0); /* it lives */
	world_process(w, 7, false);
	world_tick(w, 1);
	assert_int_equal(reap(w, "who_plain"), 0); /* it may still change */
	hit(w, a, 7, "sh", 5);
	assert_int_equal(reap(w, "who_plain"), 0);
	hit(w, a, 7, "sh", 5);
	fold_dead_rows(world_table(w, "who_plain"), no, &asked);
	assert_int_equal(asked, 1);
	assert_int_equal(fold_rows(world_table(w, "who_plain")), 1); /* refused: it stays */
	assert_int_equal(reap(w, "who_plain"), 1);
	assert_int_equal(fold_rows(world_table(w, "who_plain")), 0);
	assert_int_equal(fold_reaped(w->fold), 1);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/a\""), 5);
	assert_int_equal(world_value(w, HITS, labels), 5);
	hit(w, a, 7, "sh", 2); /* the pid is used again, the row begins at 0 */
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/a\""), 7);
	assert_int_equal(world_value(w, HITS, labels), 7);
	assert_int_equal(processes_dead(w->processes), 0);
	hit(w, a, 7, "sh", 1); /* deleted and made anew between two polls */
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/a\""), 8);
}

/* Bug: a process's series stays for ever, goes too early, or takes the group's counts along. */
static void test_process_ends(void **state)
{
	struct world *w = *state;
	uint64_t a = world_cgroup(w, "/a");

	world_process(w, 7, true);
	world_walk(w);
	hit(w, a, 7, "sh", 5);
	hit(w, a, 7, "sh", 5);
	hit(w, a, 7, "sh", 5);
	world_process(w, 7, false);
	world_tick(w, 1);
	assert_int_equal(reap(w, "who_plain"), 1);
	world_tick(w, 9);
	assert_int_equal(world_sum(w, HITS), 5);
	world_tick(w, 1); /* 10 s after it was found dead */
	assert_int_equal(world_sum(w, HITS), 0);
	assert_int_equal(families_find(w->families, HITS)->nr_series, 0);
	assert_int_equal(processes_count(w->processes), 0);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/a\""), 5);
}

/* Bug: a reused pid adds to the series of the one before, or makes it go down. */
static void test_pid_reuse_other_comm(void **state)
{
	struct world *w = *state;
	uint64_t a = world_cgroup(w, "/a"), b = world_cgroup(w, "/b");

	world_walk(w);
	hit(w, a, 7, "old", 5);
	hit(w, a, 7, "new", 1);
	hit(w, b, 7, "new", 2);
	assert_int_equal(world_value(w, HITS, "pid=\"7\",comm=\"old\",cgroup=\"/a\""), 5);
	assert_int_equal(world_value(w, HITS, "pid=\"7\",comm=\"new\",cgroup=\"/a\""), 1);
	assert_int_equal(world_value(w, HITS, "pid=\"7\",comm=\"new\",cgroup=\"/b\""), 2);
	assert_int_equal(world_sum(w, CGROUP_HITS), 8);
	assert_int_equal(processes_count(w->processes), 1);
}

/* Bug: counts of a deleted group vanish, go to (removed) too early, or twice; its memory stays. */
static void test_group_removed(void **state)
{
	struct world *w = *state;
	uint64_t a = world_cgroup(w, "/a"), b = world_cgroup(w, "/b");

	world_walk(w);
	hit(w, a, 0, "", 5);
	hit(w, b, 0, "", 6);
	hit(w, a, 0, "", 5);
	hit(w, a, 0, "", 5);
	world_cgroup_gone(w, "/a");
	world_tick(w, 1);
	hit(w, a, 0, "", 9); /* its last event, seen after the walk */
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/a\""), 9);
	assert_int_equal(reap(w, "who_plain"), 0);
	hit(w, a, 0, "", 9);
	hit(w, a, 0, "", 9);
	assert_int_equal(reap(w, "who_plain"), 1);
	world_tick(w, 9);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/a\""), 9);
	world_tick(w, 1);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/a\""), -1);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"(removed)\""), 9);
	assert_int_equal(world_sum(w, CGROUP_HITS), 15);
	hit(w, a, 0, "", 1); /* a straggler of an id that nobody knows */
	world_tick(w, 100);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"(removed)\""), 10);
	world_cgroup_gone(w, "/b");
	world_tick(w, 1);
	hit(w, b, 0, "", 6);
	hit(w, b, 0, "", 6);
	assert_int_equal(reap(w, "who_plain"), 2); /* and the straggler's */
	world_tick(w, 10);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"(removed)\""), 16);
}

/* Bug: a container that restarts begins at 0, or is moved away although it is back. */
static void test_group_comes_back(void **state)
{
	struct world *w = *state;
	uint64_t a = world_cgroup(w, "/a.service");

	world_walk(w);
	hit(w, a, 0, "", 5);
	world_cgroup_gone(w, "/a.service");
	world_tick(w, 1);
	hit(w, a, 0, "", 5);
	hit(w, a, 0, "", 5);
	assert_int_equal(reap(w, "who_plain"), 1);
	world_tick(w, 8);
	a = world_cgroup(w, "/a.service");
	world_tick(w, 1);
	hit(w, a, 0, "", 2);
	world_tick(w, 100);
	assert_int_equal(world_value(w, CGROUP_HITS, "unit=\"a.service\""), 7);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"(removed)\""), -1);
}

/* Bug: a row that was read before its cgroup was walked counts for (removed) as long as it lives. */
static void test_group_walked_late(void **state)
{
	struct world *w = *state;
	uint64_t a;

	world_walk(w);
	groups_find(w->groups, 1); /* of one that is gone: it takes the one walk that a miss may cost */
	a = world_cgroup(w, "/a"); /* after the walk, before the table */
	hit(w, a, 7, "sh", 1);
	world_tick(w, 1);
	hit(w, a, 7, "sh", 5);
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"(removed)\""), 1); /* goes down for nobody */
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/a\""), 4);
	assert_int_equal(world_value(w, HITS, "pid=\"7\",comm=\"sh\",cgroup=\"/a\""), 4);
	assert_int_equal(world_sum(w, CGROUP_HITS), 5);
	world_cgroup_gone(w, "/a");
	world_tick(w, 1);
	hit(w, a, 7, "sh", 6); /* and keeps the group it found */
	assert_int_equal(world_value(w, CGROUP_HITS, "cgroup=\"/a\""), 5);
}

/* Bug: a unit that restarts, or a user's many scopes, fill the table with rows of dead cgroups. */
static void test_cgroup_of_live_unit_goes(void **state)
{
	struct world *w = *state;
	uint64_t a = world_cgroup(w, "/a.service/1"), b = world_cgroup(w, "/a.service/2");

	world_walk(w);
	for (int i = 0; i < 3; i++) {
		hit(w, a, 0, "", 5);
		hit(w, b, 0, "", 1);
	}
	world_cgroup_gone(w, "/a.service/1");
	world_tick(w, 1);
	assert_int_equal(reap(w, "who_plain"), 1);
	world_tick(w, 100);
	assert_int_equal(world_value(w, CGROUP_HITS, "unit=\"a.service\""), 6);
	assert_int_equal(fold_rows(world_table(w, "who_plain")), 1);
}

/* Bug: labels of the group alone split the process level, or those of both are lost. */
static void test_group_only_labels(void **state)
{
	struct {
		struct world_who who;
		uint32_t cause, pad, error, pad2;
	} key = { 0 };
	struct world *w = *state;
	struct fold_table *t = world_table(w, "who_cause");

	key.who = world_who(world_cgroup(w, "/a"), 7, "sh");
	world_walk(w);
	for (uint64_t i = 1; i <= 2; i++) {
		key.cause = i;
		key.error = 111;
		assert_int_equal(fold_row(t, &key, &i), 0);
	}
	assert_int_equal(world_value(w, "ebpf_who_cause_losses_total",
				     "pid=\"7\",comm=\"sh\",cgroup=\"/a\",errno=\"ECONNREFUSED\""),
			 3);
	assert_int_equal(world_value(w, "ebpf_cgroup_who_cause_losses_total",
				     "cgroup=\"/a\",cause=\"slow\",errno=\"ECONNREFUSED\""),
			 2);
	assert_int_equal(world_sum(w, "ebpf_cgroup_who_cause_losses_total"), 3);
}

/* Bug: an alert that asks for an increase never sees a group's first event. */
static void test_rare(void **state)
{
	struct world *w = *state;
	const char *kills = "ebpf_cgroup_rare_kills_total";
	uint64_t a = world_cgroup(w, "/a"), one = 1;
	struct world_who key = world_who(a, 7, "sh");

	world_tick(w, 1);
	assert_int_equal(world_value(w, kills, "cgroup=\"/\""), 0);
	assert_int_equal(world_value(w, kills, "cgroup=\"/a\""), 0);
	assert_int_equal(families_find(w->families, CGROUP_HITS)->nr_series, 0);
	assert_int_equal(families_find(w->families, "ebpf_rare_kills_total")->nr_series, 0);
	world_cgroup(w, "/b");
	world_tick(w, 1);
	assert_int_equal(world_value(w, kills, "cgroup=\"/b\""), 0);
	assert_int_equal(fold_row(world_table(w, "rare"), &key, &one), 0);
	assert_int_equal(world_value(w, kills, "cgroup=\"/a\""), 1);
	world_cgroup_gone(w, "/b");
	world_tick(w, 1);
	world_tick(w, 10);
	assert_int_equal(world_value(w, kills, "cgroup=\"/b\""), -1);
	assert_int_equal(world_sum(w, kills), 1);
}

/* Bug: a series for a table of the process level alone at group level too, or none without pid. */
static void test_process_level_alone(void **state)
{
	struct world *w = *state;
	uint64_t a = world_cgroup(w, "/a"), one = 1;
	struct world_who key = world_who(a, 7, "sh"), group = world_who(a, 0, "");

	world_walk(w);
	assert_int_equal(fold_row(world_table(w, "___lone"), &key, &one), 0);
	assert_int_equal(fold_row(world_table(w, "___lone"), &group, &one), 0);
	assert_int_equal(world_value(w, "ebpf_runs_total", "pid=\"7\",comm=\"sh\",cgroup=\"/a\""), 1);
	assert_int_equal(world_sum(w, "ebpf_runs_total"), 1);
	assert_null(families_find(w->families, "ebpf_cgroup_runs_total"));
}

/* Bug: series per process although --process.max-series=0 wants none. */
static void test_no_process_level(void **state)
{
	struct world *w = world_new(FOLD, 10, false);
	uint64_t a = world_cgroup(w, "/a");

	(void)state;
	world_process(w, 7, true);
	world_walk(w);
	hit(w, a, 7, "sh", 5);
	hit(w, a, 7, "sh", 5);
	hit(w, a, 7, "sh", 5);
	assert_null(families_find(w->families, HITS));
	assert_int_equal(world_sum(w, CGROUP_HITS), 5);
	world_process(w, 7, false);
	world_tick(w, 1);
	assert_int_equal(reap(w, "who_plain"), 1); /* else the table fills with the dead */
	assert_int_equal(processes_count(w->processes), 0);
	world_free(w);
}

static void tick_showing_one(struct world *w)
{
	w->now_ns += WORLD_SECOND;
	fold_tick(w->fold, w->now_ns, false);
	assert_int_equal(families_publish(w->families, w->store, 1, NULL, 0), 0);
}

/* Bug: a node that runs thousands of commands a second keeps minutes of series that nobody is shown. */
static void test_hidden_process_ends(void **state)
{
	struct world *w = *state;
	uint64_t a = world_cgroup(w, "/a");

	world_process(w, 7, true);
	world_process(w, 8, true);
	world_walk(w);
	for (int i = 0; i < 3; i++) {
		hit(w, a, 7, "small", 5);
		hit(w, a, 8, "large", 50);
	}
	tick_showing_one(w);
	world_process(w, 7, false);
	world_process(w, 8, false);
	tick_showing_one(w); /* finds them dead, while their rows are there */
	assert_int_equal(world_sum(w, HITS), 55);
	assert_int_equal(reap(w, "who_plain"), 2);
	tick_showing_one(w);
	assert_int_equal(world_value(w, HITS, "pid=\"7\",comm=\"small\",cgroup=\"/a\""), -1);
	assert_int_equal(world_value(w, HITS, "pid=\"8\",comm=\"large\",cgroup=\"/a\""), 50);
	assert_int_equal(world_sum(w, CGROUP_HITS), 55);
	assert_int_equal(processes_count(w->processes), 1);
	assert_int_equal(processes_folded(w->processes)[FOLDED_HIDDEN], 1);
	assert_int_equal(processes_folded(w->processes)[FOLDED_EXITED], 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_equal_labels_add_up), T(test_row_leaves_and_comes_back), T(test_process_ends),
		T(test_pid_reuse_other_comm), T(test_group_removed), T(test_group_comes_back),
		T(test_group_walked_late), T(test_cgroup_of_live_unit_goes), T(test_group_only_labels), T(test_rare),
		T(test_process_level_alone), T(test_hidden_process_ends),
		cmocka_unit_test(test_no_process_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
