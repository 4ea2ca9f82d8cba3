/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the whole exporter costs a node that works: load EXPORTER [FLAG...]
 *
 * A load of a given rate runs for a while without the exporter and for a while with it, in turns. What
 * it takes more of CPU is the programs' doing, and what the exporter takes itself comes on top. Rates
 * are kept by working in bursts of a millisecond's share, so that both turns do the same work.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "daemon.h"

#define TURNS	  6
#define TURN_NS	  2000000000ULL
#define BURST_NS  1000000ULL

/* ---- two threads that hand a byte to and fro, on one CPU: each hand-over is a context switch ---- */

static int there[2], back[2];

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		give_up("cannot stay on CPU %d: %m", cpu);
}

static void *echo(void *arg)
{
	char byte;

	(void)arg;
	pin(0);
	while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
		;
	return NULL;
}

static void switch_burst(unsigned int n)
{
	char byte = 0;

	for (unsigned int i = 0; i < n / 2; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			give_up("the pipe broke: %m");
}

static void syscall_burst(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		syscall(SYS_getppid);
}

/* ---- one turn ---- */

struct turn {
	double load, own; /* CPU seconds per second: of the load, of the exporter */
	double rate;	  /* what the load reached, per second */
};

static uint64_t own_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static struct turn take_turn(void (*burst)(unsigned int), unsigned int per_burst, pid_t pid)
{
	uint64_t begin = monotonic_ns(), next = begin, cpu = own_cpu_ns(), own = pid ? cpu_ns(pid) : 0;
	uint64_t done = 0, now = begin;
	double seconds;

	while (now - begin < TURN_NS) {
		burst(per_burst);
		done += per_burst;
		next += BURST_NS;
		now = monotonic_ns();
		if (next > now) {
			struct timespec until = { next / 1000000000, next % 1000000000 };

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
			now = monotonic_ns();
		} else {
			next = now; /* others took the CPU: no catching up */
		}
	}
	seconds = (now - begin) / 1e9;
	return (struct turn){ (own_cpu_ns() - cpu) / 1e9 / seconds,
			      pid ? (cpu_ns(pid) - own) / 1e9 / seconds : 0, done / seconds };
}

/* Extra CPU in % of one core at the nominal rate: scaled from the rate that was reached. */
static void load_row(const char *what, void (*burst)(unsigned int), unsigned int rate)
{
	double extra[TURNS], own[TURNS], reached[TURNS];
	unsigned int per_burst = rate / (1000000000 / BURST_NS);

	take_turn(burst, per_burst, 0); /* warm */
	for (size_t i = 0; i < TURNS; i++) {
		struct turn without, with;
		pid_t pid;

		/* in pairs, and each pair the other way round than the one before */
		if (i % 2)
			without = take_turn(burst, per_burst, 0);
		pid = start("1s", NULL);
		close(dial_ready(pid));
		with = take_turn(burst, per_burst, pid);
		stop(pid);
		if (!(i % 2))
			without = take_turn(burst, per_burst, 0);
		extra[i] = 100 * (with.load / with.rate - without.load / without.rate) * rate;
		own[i] = 100 * with.own;
		reached[i] = with.rate;
	}
	{
		double programs = quantile(extra, TURNS, 0.5), daemon = quantile(own, TURNS, 0.5);

		table_row(what, "1 %", programs + daemon <= 1,
			  "%.2f %% of one core (programs %.2f, %.2f to %.2f; the exporter %.2f; at %.0f/s)",
			  programs + daemon, programs, extra[0], extra[TURNS - 1], daemon,
			  quantile(reached, TURNS, 0.5));
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 2)
		give_up("usage: load EXPORTER [FLAG...]");
	exporter = argv[1];
	exporter_flags = argv + 2;
	if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC) || pthread_create(&thread, NULL, echo, NULL))
		give_up("no pipes, or no thread: %m");
	pin(0);
	load_row("all collectors at 100,000 context switches/s", switch_burst, 100000);
	load_row("all collectors at 500,000 system calls/s", syscall_burst, 500000);
	return 0;
}
