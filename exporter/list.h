/* SPDX-License-Identifier: GPL-2.0-only */
/* list: what --list and --check print. */
#pragma once

#include <stdio.h>

#include "attach.h"
#include "series.h"

/* `kind name{labels} help`, a line per family, a heading per collector; `own` may be NULL. */
void list_text(FILE *out, const struct collectors *collectors, struct families *own);
/* The same as a table for the README. */
void list_markdown(FILE *out, const struct collectors *collectors, struct families *own);
/* 0, or -errno after one line that names a metric which two tables declare. */
int list_duplicates(const struct collectors *collectors);
/* A line per collector: state, programs, reason. Returns how many of the enabled ones do not run
 * whole. */
int list_check(FILE *out, const struct collectors *collectors);
