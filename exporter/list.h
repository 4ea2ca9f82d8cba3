/* SPDX-License-Identifier: GPL-2.0-only */
/* list: what --list and --check print. */
#pragma once

#include <stdio.h>

#include "attach.h"
#include "series.h"

/*
 * `kind name{labels}  [on, medium rate, at most N series]  help`, a line per family, a heading per
 * collector; `own` may be NULL. N is what the table's room, the named values of its labels and
 * `process_max_series` leave possible, in lines of the text format (a histogram has one per bound).
 */
void list_text(FILE *out, const struct collectors *collectors, struct families *own,
	       size_t process_max_series);
/* The same as a table for the README. */
void list_markdown(FILE *out, const struct collectors *collectors, struct families *own,
		   size_t process_max_series);
/* 0, or -errno after one line that names a metric which two tables declare. */
int list_duplicates(const struct collectors *collectors);
/* A line per collector: state, programs, reason. Returns how many of the enabled ones do not run
 * whole. */
int list_check(FILE *out, const struct collectors *collectors);
