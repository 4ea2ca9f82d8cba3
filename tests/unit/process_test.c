/* SPDX-License-Identifier: GPL-2.0-only */
/* process: who is dead, asked of a procfs that is a folder of empty folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "log.h"
#include "process.h"

static char proc[64];

static const char *entry(int pid)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/%d", proc, pid);
	return path;
}

static int make_proc(void **state)
{
	char self[80];

	(void)state;
	strcpy(proc, "/tmp/bpf_exporter_proc_XXXXXX");
	if (!mkdtemp(proc))
		return -1;
	snprintf(self, sizeof(self), "%s/self", proc);
	return mkdir(self, 0755);
}

static int remove_proc(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", proc);
	return system(command);
}

/* Bug: the living are declared dead, the dead stay, or the count of them is off. */
static void test_dies(void **state)
{
	struct processes *processes = processes_new(proc);
	struct process *one = processes_get(processes, 1), *two = processes_get(processes, 2);

	(void)state;
	mkdir(entry(1), 0755);
	mkdir(entry(2), 0755);
	processes_check(processes, 5, false);
	assert_int_equal(processes_dead(processes), 0);
	rmdir(entry(2));
	processes_check(processes, 6, false);
	processes_check(processes, 7, false);
	assert_int_equal(one->dead_ns, 0);
	assert_int_equal(two->dead_ns, 6); /* when it was found, not when it was asked last */
	assert_int_equal(processes_dead(processes), 1);
	process_seen(processes, two); /* a row of it grew: the pid is used again */
	assert_int_equal(two->dead_ns, 0);
	assert_int_equal(processes_dead(processes), 0);
	process_seen(processes, two);
	assert_int_equal(processes_dead(processes), 0);
	processes_check(processes, 8, false);
	assert_int_equal(processes_dead(processes), 1);
	assert_int_equal(processes_folded(processes)[FOLDED_EXITED], 0);
	processes_put(processes, two);
	assert_int_equal(processes_dead(processes), 0);
	assert_int_equal(processes_folded(processes)[FOLDED_EXITED], 1);
	processes_put(processes, one); /* it lives: it only has no row any more */
	assert_int_equal(processes_folded(processes)[FOLDED_EXITED], 1);
	assert_int_equal(processes_folded(processes)[FOLDED_HIDDEN], 0);
	assert_int_equal(processes_count(processes), 0);
	processes_check(processes, 9, false); /* nobody: no division by 0 */
	processes_free(processes);
}

/* Bug: a process freed while a row or a series points to it, or never. */
static void test_users(void **state)
{
	struct processes *processes = processes_new(proc);
	struct process *process = processes_get(processes, 7);

	(void)state;
	assert_ptr_equal(processes_get(processes, 7), process);
	assert_ptr_not_equal(processes_get(processes, 7 + 4096), process); /* the same hash slot */
	processes_put(processes, process);
	assert_int_equal(processes_count(processes), 2);
	assert_int_equal(process->pid, 7);
	processes_put(processes, process);
	assert_int_equal(processes_count(processes), 1);
	processes_put(processes, NULL);
	processes_free(processes); /* the other one too: LeakSanitizer looks */
	processes_free(NULL);
}

/* Bug: where procfs cannot be read, everybody is dead and all series go. */
static void test_unreadable(void **state)
{
	char self[80];
	struct processes *missing = processes_new("/nonexistent"), *processes = processes_new(proc);
	struct process *process = processes_get(missing, 1), *other = processes_get(processes, 1);

	(void)state;
	processes_check(missing, 5, false);
	assert_int_equal(process->dead_ns, 0);
	snprintf(self, sizeof(self), "%s/self", proc);
	assert_int_equal(rmdir(self), 0); /* an empty folder where procfs should be mounted */
	processes_check(processes, 5, false);
	assert_int_equal(other->dead_ns, 0);
	assert_int_equal(mkdir(self, 0755), 0);
	processes_check(processes, 6, false); /* it is back */
	assert_int_equal(other->dead_ns, 6);
	processes_free(missing);
	processes_free(processes);
}

/* Bug: procfs is mounted again with hidepid, and everybody that it hides is dead. */
static void test_hidden(void **state)
{
	struct processes *processes = processes_new(proc);
	struct process *process = processes_get(processes, 5);

	(void)state;
	mkdir(entry(1), 0755);
	mkdir(entry(5), 0755);
	processes_check(processes, 5, false);
	rmdir(entry(1));
	rmdir(entry(5));
	processes_check(processes, 6, false);
	assert_int_equal(process->dead_ns, 0);
	mkdir(entry(1), 0755);
	processes_check(processes, 7, false);
	assert_int_equal(process->dead_ns, 7);
	rmdir(entry(1));
	processes_free(processes);
	/* where nobody but us was ever to be seen, the dead must leave too */
	processes = processes_new(proc);
	process = processes_get(processes, 5);
	processes_check(processes, 8, false);
	assert_int_equal(process->dead_ns, 8);
	processes_free(processes);
}

/* Bug: with thousands of them some are never asked, or the list forgets whom it moved. */
static void test_thousands(void **state)
{
	enum { N = 2055 }; /* not a multiple of 8 */
	static struct process *all[N];
	struct processes *processes = processes_new(proc);
	size_t alive = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		all[i] = processes_get(processes, 1000 + i);
		if (i % 100 == 0)
			mkdir(entry(1000 + i), 0755), alive++;
	}
	for (uint64_t poll = 1; poll <= 8; poll++)
		processes_check(processes, poll, false);
	assert_int_equal(processes_dead(processes), N - alive); /* within eight polls */
	for (int i = 0; i < N; i++)
		assert_true(!all[i]->dead_ns == (i % 100 == 0));
	for (int i = 0; i < N; i += 3)
		processes_put(processes, all[i]);
	for (int i = 0; i < N; i++)
		if (i % 3) {
			struct process *again = processes_get(processes, 1000 + i);

			assert_ptr_equal(again, all[i]);
			processes_put(processes, again);
			processes_put(processes, again);
		}
	assert_int_equal(processes_count(processes), 0);
	assert_int_equal(processes_dead(processes), 0);
	processes_free(processes);
}

#define T(test) cmocka_unit_test_setup_teardown(test, make_proc, remove_proc)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_dies), T(test_users), T(test_unreadable), T(test_hidden), T(test_thousands) };

	log_setup(LOG_ERROR, LOG_LOGFMT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
