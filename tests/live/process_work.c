/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * process_work: a known number of processes and threads that end in known ways, one at a time.
 *
 *	process_work ends	31 with status 0, 23 with 3, 11 by a TERM from here, 5 threads
 *	process_work storm N	N processes that end at once
 *	process_work late	its main thread leaves first, then another one calls exit(3)
 *	process_work fault	dies of SIGSEGV
 *	process_work wait	prints "ready", waits to be killed
 *	process_work ignore	the same, and ignores TERM
 *	process_work reuse PID	tries to fork a child with that pid, which yields a few times
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void children(int n, void (*end)(void), int kill_with)
{
	while (n-- > 0) {
		pid_t pid = fork();

		if (!pid) {
			end();
			_exit(99);
		}
		if (pid < 0)
			exit(1);
		if (kill_with)
			kill(pid, kill_with);
		waitpid(pid, NULL, 0);
	}
}

static void end_ok(void) { _exit(0); }
static void end_error(void) { _exit(3); }
static void end_never(void) { for (;;) pause(); }
static void *nothing(void *arg) { return arg; }

static void *exit_late(void *main_thread)
{
	pthread_join(*(pthread_t *)main_thread, NULL);
	exit(3);
}

static int reuse(pid_t wanted)
{
	pid_t pid = 0;

	for (int i = 0; i < 300 && pid != wanted; i++) {
		FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
		int err;

		if (!last)
			return 2;
		fprintf(last, "%d", wanted - 1);
		err = fclose(last);
		if (err)
			return 2;
		pid = fork();
		if (!pid) {
			for (int k = 0; getpid() == wanted && k < 20; k++)
				usleep(1000);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	return pid == wanted ? 0 : 3;
}

int main(int argc, char **argv)
{
	static pthread_t self;
	const char *what = argc > 1 ? argv[1] : "";
	pthread_t thread;

	alarm(60);
	if (!strcmp(what, "ends")) {
		children(31, end_ok, 0);
		children(23, end_error, 0);
		children(11, end_never, SIGTERM);
		for (int i = 0; i < 5; i++) {
			pthread_create(&thread, NULL, nothing, NULL);
			pthread_join(thread, NULL);
		}
	} else if (!strcmp(what, "storm") && argc > 2) {
		children(atoi(argv[2]), end_ok, 0);
	} else if (!strcmp(what, "late")) {
		self = pthread_self();
		pthread_create(&thread, NULL, exit_late, &self);
		pthread_exit(NULL);
	} else if (!strcmp(what, "fault")) {
		*(volatile int *)0 = 0;
	} else if (!strcmp(what, "wait") || !strcmp(what, "ignore")) {
		if (*what == 'i')
			signal(SIGTERM, SIG_IGN);
		printf("ready\n");
		fflush(stdout);
		end_never();
	} else if (!strcmp(what, "reuse") && argc > 2) {
		return reuse(atoi(argv[2]));
	} else {
		return 1;
	}
	return 0;
}
