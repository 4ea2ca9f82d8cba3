/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each system call pays for programs at sys_enter and sys_exit, and each fsync for being counted.
 *
 * bpf_stats see the programs alone; most of the price is the longer way that the kernel takes once
 * anybody hangs there. So calls are timed with a collector attached and without, in turns of one run,
 * by the thread's own CPU time: what others do on this machine is left out, as far as it can be.
 */
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "attach_parts.h"
#include "bench.h"
#include "clock.h"
#include "log.h"

#define ROUNDS 101

static struct collectors collectors;

static void load(void)
{
	struct collector_switch on[] = { { .name = (char *)"fsync", .on = true },
					 { .name = (char *)"syscall", .on = true } };
	struct options options = { .switches = on, .nr_switches = 2 };
	struct node_facts facts = { .start_ns = monotonic_ns(), .shards = 1 };

	if (collectors_open(&collectors, &options))
		give_up("the collectors cannot be opened");
	for (size_t i = 0; i < collectors.n; i++)
		collectors.list[i].enabled = collectors.list[i].asked_for;
	if (collectors_load(&collectors, &facts))
		give_up("the collectors cannot be loaded");
}

static void detach(struct collector *c)
{
	for (size_t i = 0; i < c->nr_programs; i++) {
		bpf_link__destroy(c->programs[i].link);
		c->programs[i].link = NULL;
	}
}

static void attach(struct collector *c)
{
	for (size_t i = 0; i < c->nr_programs; i++)
		if (bpf_program__fd(c->programs[i].bpf) >= 0) { /* not a variant for other kernels */
			c->programs[i].link = hook_attach(&c->programs[i]);
			if (!c->programs[i].link)
				give_up("%s: %m", bpf_program__name(c->programs[i].bpf));
		}
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int file;

static void call_getppid(void)
{
	syscall(SYS_getppid);
}

static void call_fsync(void)
{
	fsync(file);
}

static double ns_per_call(void (*call)(void))
{
	uint64_t begin = cpu_ns();

	for (int i = 0; i < 10000; i++)
		call();
	return (double)(cpu_ns() - begin) / 10000;
}

static void measure(const char *what, struct collector *c, void (*call)(void))
{
	static double without[ROUNDS], with[ROUNDS];
	double bare, more;

	for (int i = 0; i < ROUNDS; i++) {
		without[i] = ns_per_call(call);
		attach(c);
		with[i] = ns_per_call(call);
		detach(c);
	}
	bare = quantile(without, ROUNDS, 0.5);
	more = quantile(with, ROUNDS, 0.5) - bare;
	table_row(what, "-", NO_BUDGET, "%+.0f ns to %.0f (between the least of each: %+.0f to %.0f)", more, bare,
		  with[0] - without[0], without[0]);
}

int main(void)
{
	log_setup(LOG_ERROR, LOG_LOGFMT);
	load();
	file = memfd_create("bench", MFD_CLOEXEC);
	if (file < 0)
		give_up("memfd_create: %m");
	for (size_t i = 0; i < collectors.n; i++)
		detach(&collectors.list[i]);
	for (size_t i = 0; i < collectors.n; i++) {
		struct collector *c = &collectors.list[i];
		char what[128];
		bool functions = false;

		if (!c->asked_for)
			continue;
		if (c->state > COLLECTOR_PARTIAL)
			give_up("collector %s: %s", c->name, c->reason);
		for (size_t k = 0; k < c->nr_programs; k++)
			functions |= !c->programs[k].is_missing && c->programs[k].is_optional;
		snprintf(what, sizeof(what), "each system call, with %s%s", c->name, functions ? " (on functions)" : "");
		measure(what, c, call_getppid);
		if (strcmp(c->name, "fsync"))
			continue;
		snprintf(what, sizeof(what), "each fsync, with %s%s", c->name, functions ? " (on functions)" : "");
		measure(what, c, call_fsync);
	}
	collectors_close(&collectors);
	return 0;
}
