/* SPDX-License-Identifier: GPL-2.0-only */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

struct processes {
	const char *procfs;
	struct process *by_pid[4096];
	struct process **list;
	size_t n, size, dead, turn;
	uint64_t folded[NR_FOLDED], deaths;
	bool unreadable, saw_init;
};

const char *const folded_names[NR_FOLDED] = { "exited", "hidden" };

struct processes *processes_new(const char *procfs)
{
	struct processes *processes = calloc(1, sizeof(*processes));

	if (processes)
		processes->procfs = procfs;
	return processes;
}

void processes_free(struct processes *processes)
{
	if (!processes)
		return;
	for (size_t i = 0; i < processes->n; i++)
		free(processes->list[i]);
	free(processes->list);
	free(processes);
}

static struct process **slot_of(struct processes *processes, pid_t pid)
{
	return &processes->by_pid[(uint32_t)pid %
				  (sizeof(processes->by_pid) / sizeof(*processes->by_pid))];
}

struct process *processes_get(struct processes *processes, pid_t pid)
{
	struct process **slot = slot_of(processes, pid), *process;

	for (process = *slot; process; process = process->next)
		if (process->pid == pid) {
			process->users++;
			return process;
		}
	if (processes->n == processes->size) {
		size_t size = processes->size ? processes->size * 2 : 64;
		struct process **bigger = reallocarray(processes->list, size, sizeof(*bigger));

		if (!bigger)
			return NULL;
		processes->list = bigger;
		processes->size = size;
	}
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	process->users = 1;
	process->index = processes->n;
	processes->list[processes->n++] = process;
	process->next = *slot;
	*slot = process;
	return process;
}

void processes_put(struct processes *processes, struct process *process)
{
	struct process **at;

	if (!process || --process->users)
		return;
	for (at = slot_of(processes, process->pid); *at != process; at = &(*at)->next)
		;
	*at = process->next;
	processes->list[process->index] = processes->list[--processes->n];
	processes->list[process->index]->index = process->index;
	if (process->dead_ns) {
		processes->dead--;
		processes->folded[process->hidden ? FOLDED_HIDDEN : FOLDED_EXITED]++;
	}
	free(process);
}

void process_seen(struct processes *processes, struct process *process)
{
	processes->dead -= !!process->dead_ns;
	process->dead_ns = 0;
}

/*
 * -1 when procfs cannot be read, or does not show all processes: nobody is to be declared dead
 * then. Without its own entry a mount is no procfs; one without process 1 that had it before was
 * mounted again with hidepid.
 */
static int open_procfs(struct processes *processes)
{
	int proc = open(processes->procfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool init = proc >= 0 && !faccessat(proc, "1", F_OK, 0);

	if (proc >= 0 && (init || !processes->saw_init) &&
	    !faccessat(proc, "self", F_OK, AT_SYMLINK_NOFOLLOW)) {
		if (processes->unreadable)
			log_info("\"%s\" can be read again", processes->procfs);
		processes->unreadable = false;
		processes->saw_init |= init;
		return proc;
	}
	if (!processes->unreadable)
		log_warn("cannot read \"%s\": %m; counts go on, processes that end keep their "
			 "series; mount procfs, or give the folder where it is by --path.procfs",
			 processes->procfs);
	processes->unreadable = true;
	if (proc >= 0)
		close(proc);
	return -1;
}

void processes_check(struct processes *processes, uint64_t now_ns, bool all)
{
	int proc = open_procfs(processes);
	size_t look = processes->n > 8 * 256 ? (processes->n + 7) / 8 : 256;
	char name[16];

	if (proc < 0)
		return;
	if (all || look > processes->n)
		look = processes->n;
	for (; look; look--) {
		struct process *process = processes->list[processes->turn++ % processes->n];

		snprintf(name, sizeof(name), "%d", process->pid);
		if (process->dead_ns || !faccessat(proc, name, F_OK, 0) || errno != ENOENT)
			continue;
		process->dead_ns = now_ns;
		processes->dead++;
		processes->deaths++;
	}
	close(proc);
}

size_t processes_count(const struct processes *processes)
{
	return processes->n;
}

size_t processes_dead(const struct processes *processes)
{
	return processes->dead;
}

uint64_t processes_deaths(const struct processes *processes)
{
	return processes->deaths;
}

const uint64_t *processes_folded(const struct processes *processes)
{
	return processes->folded;
}
