// SPDX-License-Identifier: GPL-2.0-only
/*
 * options_nearest: the known word a mistyped one was meant to be.
 */
#include <stdint.h>
#include <string.h>

#include "options.h"

/* Longer words are sentences, nobody mistyped them from a flag. Bounds the rows below. */
#define MAX_WORD 64

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Edits that make `b` of `a`: a character inserted, removed or replaced, or two neighbours swapped
 * (Damerau-Levenshtein, where nothing is edited twice). Both are at most MAX_WORD long.
 */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][MAX_WORD + 1];
	size_t nr_a = strlen(a), nr_b = strlen(b);

	for (size_t j = 0; j <= nr_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= nr_a; i++) {
		size_t *row = rows[i % 3], *above = rows[(i - 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= nr_b; j++) {
			row[j] = min(above[j - 1] + (a[i - 1] != b[j - 1]),
				     min(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min(row[j], rows[(i - 2) % 3][j - 2] + 1);
		}
	}
	return rows[nr_a % 3][nr_b];
}

const char *options_nearest(const char *word, const char *const *words)
{
	size_t len = strnlen(word, MAX_WORD + 1), best = len / 3 ? len / 3 : 1;
	const char *nearest = NULL;

	if (len > MAX_WORD)
		return NULL;
	for (; *words; words++) {
		size_t edits;

		if (strnlen(*words, MAX_WORD + 1) > MAX_WORD)
			continue;
		edits = distance(word, *words);
		if (edits > best || (nearest && edits == best)) /* of equals the first */
			continue;
		best = edits;
		nearest = *words;
	}
	return nearest;
}
