/* SPDX-License-Identifier: GPL-2.0-only */
/* What the benchmarks share: medians, and the lines that run.sh makes its table of. */
#pragma once

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value below which `part` of them lie; sorts. */
static inline double quantile(double *values, size_t n, double part)
{
	size_t at = (size_t)(part * (double)n);

	if (!n)
		return 0;
	qsort(values, n, sizeof(*values), compare_doubles);
	return values[at < n ? at : n - 1];
}

enum verdict { SHORT, PASS, NO_BUDGET };

/* One line of the table: what, budget, verdict, then the figures as printf wants them. */
__attribute__((format(printf, 4, 5))) static inline void
table_row(const char *what, const char *budget, enum verdict verdict, const char *format, ...)
{
	static const char *const verdicts[] = { "short", "pass", "-" };
	va_list args;

	printf("%s\t%s\t%s\t", what, budget, verdicts[verdict]);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}
