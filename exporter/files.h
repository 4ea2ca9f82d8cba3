/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * files: kernel files -> rows, for what no program needs to count because the kernel does already.
 *
 * A table of files.c belongs to a collector, stands in its schema next to those of its object, and
 * is switched, polled, folded and listed with them. Its rows have one label at most and one value:
 * what the file says. A counter that shrinks (a file system that was repaired) goes on from where
 * it was, by the laws of fold.c.
 */
#pragma once

#include "fold.h"
#include "schema.h"

struct files;

/* What reading needs, made before privileges are dropped; the strings are borrowed. NULL: no
 * memory. */
struct files *files_new(const char *sysfs);
void files_free(struct files *files); /* NULL is fine */

/* Adds the tables of `collector`, if there are any, to its schema. Returns 0 or -ENOMEM. */
int files_add_tables(const char *collector, struct schema *schema);

/*
 * Reads the files of a table into the fold; `rows` says how many there are. What is not there on
 * this kernel has no row. Returns 0 or -ENOMEM.
 */
int files_read(struct files *files, const struct file_table *file, struct fold_table *fold,
	       size_t *rows);

/*
 * Readable when the clock was set; -1: nobody knows. Steps that are not told apart are counted
 * once, so files_clock_was_set() is to be called at once, not at the next poll.
 */
int files_clock_fd(const struct files *files);
void files_clock_was_set(struct files *files);
