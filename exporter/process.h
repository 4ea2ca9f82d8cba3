/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * process: which of the processes that have rows are still alive.
 *
 * Asked of procfs, a few per poll in turn, so that 10,000 of them cost a poll next to nothing; a
 * death is noticed within eight polls. Where procfs cannot be read every process counts as alive.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	struct process *next;
	pid_t pid;
	uint32_t users;	  /* rows and series that point here */
	uint64_t dead_ns; /* when it was found dead; 0 while alive */
	bool hidden;	  /* the last series that it lost was not shown */
	size_t index;
};
/* Why a dead process is told apart no more: its series were shown for as long as they may, or not
 * at all (there were too many). */
enum folded { FOLDED_EXITED, FOLDED_HIDDEN, NR_FOLDED };
extern const char *const folded_names[NR_FOLDED];

struct processes *processes_new(const char *procfs);
void processes_free(struct processes *processes);
/* The process with that pid, with one more user; NULL with errno ENOMEM. */
struct process *processes_get(struct processes *processes, pid_t pid);
/* One user less; the last one frees it. NULL is fine. */
void processes_put(struct processes *processes, struct process *process);
/* Its row changed: it lives (again), whatever procfs shows here (another pid namespace, a reused
 * pid). */
void process_seen(struct processes *processes, struct process *process);
/* Looks at an eighth of them, at least 256; at all of them when `all` (a table fills up). */
void processes_check(struct processes *processes, uint64_t now_ns, bool all);
size_t processes_count(const struct processes *processes);
size_t processes_dead(const struct processes *processes);
/* How many were found dead since the start. */
uint64_t processes_deaths(const struct processes *processes);
/* How many dead ones had their last user, by enum folded. */
const uint64_t *processes_folded(const struct processes *processes);
