/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * storm_work processes N PROGRAM		N processes one after the other, each becomes PROGRAM
 * storm_work cgroups N PROGRAM BASE ROOT...	N cgroups ROOT/BASE/N, each with one process that becomes
 *						PROGRAM; each is removed when that has ended
 * Prints how many it made.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* By vfork(): nothing is copied, so that a thousand a second are no matter. */
static void run(const char *program, char *const *joins, int nr_joins)
{
	int status;
	pid_t pid = vfork();

	if (!pid) {
		for (int i = 0; i < nr_joins; i++) {
			int fd = open(joins[i], O_WRONLY);

			if (fd < 0 || write(fd, "0", 1) != 1)
				_exit(126);
			close(fd);
		}
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		fail("vfork");
	if (status) {
		fprintf(stderr, "%s ended with %d\n", program, status);
		exit(1);
	}
}

static void remove_folder(const char *path)
{
	/* the kernel needs a moment to let go of one whose last process has just ended */
	for (int tries = 0; rmdir(path); tries++) {
		if ((errno != EBUSY && errno != ENOTEMPTY) || tries > 2000)
			fail(path);
		usleep(500);
	}
}

int main(int argc, char **argv)
{
	int n = argc > 3 ? atoi(argv[2]) : 0, roots = argc - 5;
	char paths[8][512], files[8][560], *joins[8];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (n <= 0 || roots > 8 || (!strcmp(argv[1], "cgroups") && roots < 1)) {
		fprintf(stderr, "usage: see the top of %s\n", __FILE__);
		return 2;
	}
	for (int i = 0; i < n; i++) {
		if (!strcmp(argv[1], "processes")) {
			run(argv[3], NULL, 0);
			continue;
		}
		for (int r = 0; r < roots; r++) {
			snprintf(paths[r], sizeof(paths[r]), "%s/%s/%d", argv[5 + r], argv[4], i);
			snprintf(files[r], sizeof(files[r]), "%s/cgroup.procs", paths[r]);
			joins[r] = files[r];
			if (mkdir(paths[r], 0755))
				fail(paths[r]);
		}
		run(argv[3], joins, roots);
		for (int r = 0; r < roots; r++)
			remove_folder(paths[r]);
	}
	printf("%d\n", n);
	return 0;
}
