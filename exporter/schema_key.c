/* SPDX-License-Identifier: GPL-2.0-only */
/* schema_key: the members of a key -> labels. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "label.h"
#include "schema_parts.h"

/* The name of the outermost typedef or struct that has a meaning of its own to label.c. */
static const struct label_kind *named_kind(const struct btf *btf, __u32 id)
{
	for (const struct btf_type *t = schema_skip(btf, id, true); t;
	     t = schema_skip(btf, t->type, true)) {
		const struct label_kind *kind = label_kind_named(schema_name(btf, t));

		if (kind)
			return kind;
		if (!btf_is_typedef(t))
			break;
	}
	return NULL;
}

/*
 * The running kernel's enum of that name, when it has one, keeps its spelling (kernels renumber
 * theirs between releases); our own become lower case. The prefix that repeats the enum's tag goes.
 */
static int read_enum(struct reader *r, struct label *label, const struct btf_type *t)
{
	const char *tag = schema_name(r->btf, t);
	const struct btf *btf = r->btf;
	size_t prefix = strlen(tag);
	bool ours = true;
	int id = -1;

	if (r->kernel && *tag)
		id = btf__find_by_name_kind(r->kernel, tag, BTF_KIND_ENUM);
	if (id > 0) {
		btf = r->kernel;
		t = btf__type_by_id(btf, id);
		ours = false;
	}
	label->names.values = calloc(btf_vlen(t) + 1, sizeof(*label->names.values));
	if (!label->names.values)
		return -ENOMEM;
	for (int i = 0; i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(btf, btf_enum(t)[i].name_off);
		char *copy;

		if (prefix && !strncasecmp(name, tag, prefix) && name[prefix] == '_' &&
		    name[prefix + 1])
			name += prefix + 1;
		copy = strdup(name);
		if (!copy)
			return -ENOMEM;
		for (char *c = copy; ours && *c; c++)
			*c = tolower((unsigned char)*c);
		label->names.values[i].value = btf_enum(t)[i].val;
		label->is_signed |= btf_enum(t)[i].val < 0; /* BTF says so only from clang 15 on */
		label->names.values[i].name = copy;
		label->names.n++;
	}
	return 0;
}

/* The labels that label_cgroup.c makes of a cgroup id. */
static bool is_group_label(const char *name)
{
	static const char *const names[] = { "cgroup", "unit", "namespace", "pod", "container" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Two labels of one name would make every sample of the table one that Prometheus refuses. */
int schema_check_labels(struct reader *r)
{
	const struct table *table = r->table;

	for (size_t i = 0; i < table->nr_labels; i++) {
		const struct label *label = &table->labels[i];
		bool cgroup = label->kind == label_kind_cgroup;

		if (!cgroup && table->cgroup_at >= 0 && is_group_label(label->name))
			return schema_bad(
				r, "%s: the cgroup makes a label of that name; rename the member",
				label->name);
		for (size_t k = 0; k < i; k++) {
			if (!strcmp(label->name, table->labels[k].name))
				return schema_bad(r, "two labels are called '%s'; rename one",
						  label->name);
			if (cgroup && table->labels[k].kind == label_kind_cgroup)
				return schema_bad(r, "%s: a key has one cgroup id, and '%s' is one",
						  label->name, table->labels[k].name);
		}
		for (size_t k = 0; k < table->nr_metrics; k++) {
			const struct metric *metric = &table->metrics[k];

			if (metric->by_label && !strcmp(metric->by_label, label->name))
				return schema_bad(r,
						  "%s: its own label '%s' is one of the key's too; "
						  "rename one",
						  metric->member, label->name);
			if (metric->rare && !cgroup &&
			    !(table->has_who && label->offset < WHO_SIZE))
				return schema_bad(r,
						  "%s: a RARE_COUNTER has no label but its group, "
						  "and '%s' is one",
						  metric->member, label->name);
			if (metric->kind == METRIC_HISTOGRAM && !strcmp(label->name, "le"))
				return schema_bad(r, "le: a histogram has a label of that name; "
						     "rename the member");
		}
	}
	return 0;
}

static int add_label(struct reader *r, const char *name, __u32 type_id, __u32 offset,
		     bool group_only)
{
	const struct label_kind *kind = named_kind(r->btf, type_id);
	const struct btf_type *t = schema_skip(r->btf, type_id, false);
	struct label *label;

	if (!t)
		return schema_bad(r, "%s: a label without a type", name);
	if (!kind) {
		const struct btf_type *element;

		switch (btf_kind(t)) {
		case BTF_KIND_ENUM:
			kind = &label_kind_enum;
			break;
		case BTF_KIND_INT:
			kind = &label_kind_integer;
			break;
		case BTF_KIND_ARRAY:
			element = schema_skip(r->btf, btf_array(t)->type, false);
			if (element && btf_is_int(element) && element->size == 1)
				kind = &label_kind_chars;
		}
	}
	if (!kind)
		return schema_bad(r,
				  "%s: a label cannot be of type '%s'; use an integer, an enum, "
				  "char[] or a label type of metrics.bpf.h",
				  name,
				  *schema_name(r->btf, t) ? schema_name(r->btf, t) : "(anonymous)");
	label = GROW(r->table->labels, r->table->nr_labels);
	if (!label)
		return -ENOMEM;
	label->name = strdup(name);
	label->offset = offset;
	label->size = btf__resolve_size(r->btf, type_id);
	label->kind = kind;
	label->group_only = group_only;
	if (!label->name)
		return -ENOMEM;
	if (kind->size && kind->size != label->size)
		return schema_bad(r, "%s: '%s' measures %u bytes, expected %u", name, kind->type,
				  label->size, kind->size);
	if (kind == label_kind_cgroup)
		r->table->cgroup_at = offset;
	if (btf_is_int(t)) {
		label->is_signed = btf_int_encoding(t) & BTF_INT_SIGNED;
		if (label->size > 8)
			return schema_bad(r, "%s: a label cannot have %u bytes", name, label->size);
	}
	return btf_kind(t) == BTF_KIND_ENUM ? read_enum(r, label, t) : 0;
}

/* fold.c takes the group and the pid from fixed places: a `who` of another header would send it
 * astray. */
static int check_who(struct reader *r, const struct btf_type *who)
{
	static const struct {
		const char *name;
		__u32 offset;
	} members[] = { { "cgroup", 0 }, { "pid", 8 }, { "comm", 12 } };
	const size_t n = sizeof(members) / sizeof(*members);
	bool ours = who->size == 32 && r->table->nr_labels == n && !r->table->cgroup_at;

	for (size_t i = 0; ours && i < n; i++)
		ours = !strcmp(r->table->labels[i].name, members[i].name) &&
		       r->table->labels[i].offset == members[i].offset;
	return ours ? 0 : schema_bad(r, "'struct who' is not the one of this exporter's who.bpf.h");
}

/* The members of a key, or of a structure inside it. `end` is where the last one ended. */
static int read_key_members(struct reader *r, const struct btf_type *t, __u32 base, __u32 *end,
			    bool group_only)
{
	int err = 0;

	for (int i = 0; i < btf_vlen(t) && !err; i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const char *name = btf__name_by_offset(r->btf, m->name_off);
		const struct btf_type *inner = schema_skip(r->btf, m->type, false);
		__u32 offset = base + btf_member_bit_offset(t, i) / 8;

		if (btf_member_bitfield_size(t, i))
			return schema_bad(r, "%s: a label cannot be a bit field", name);
		if (offset != *end)
			return schema_bad(r,
					  "the key has a hole before '%s'; fill it with a member "
					  "whose name starts with '_'",
					  name);
		if (btf_is_struct(inner) && !named_kind(r->btf, m->type)) {
			bool who = !strcmp(schema_name(r->btf, inner), "who");

			if (who && offset)
				return schema_bad(r, "%s: 'struct who' must come first in the key",
						  name);
			if (!who && (strcmp(name, "group") || !r->table->has_who))
				return schema_bad(r,
						  "%s: a structure in a key is 'struct who who' "
						  "or, after that, 'group'",
						  name);
			r->table->has_who |= who;
			err = read_key_members(r, inner, offset, end, !who);
			if (!err && *end != offset + inner->size)
				return schema_bad(r,
						  "%s: the structure has a hole at its end; fill "
						  "it with a member whose name starts with '_'",
						  name);
			if (!err && who)
				err = check_who(r, inner);
			continue;
		}
		*end = offset + btf__resolve_size(r->btf, m->type);
		if (name[0] != '_')
			err = add_label(r, name, m->type, offset, group_only);
	}
	return err;
}

int schema_read_key(struct reader *r, __u32 type_id)
{
	const struct btf_type *outer = schema_skip(r->btf, type_id, true);
	const struct btf_type *t = schema_skip(r->btf, type_id, false);
	__u32 end = 0;
	int err;

	if (!t)
		return schema_bad(r, "no key type; declare it with __type(key, ...)");
	if (named_kind(r->btf, type_id) == label_kind_cgroup)
		return add_label(r, "cgroup", type_id, 0, false);
	if (btf_kind(t) == BTF_KIND_ENUM && !*schema_name(r->btf, t))
		return schema_bad(r, "an enum as key needs a name: it is the label's");
	if (btf_kind(t) == BTF_KIND_ENUM)
		return add_label(r, schema_name(r->btf, t), type_id, 0, false);
	if (btf_is_int(t) && r->table->max_entries == 1)
		return 0; /* one row, no label */
	if (!btf_is_struct(t))
		return schema_bad(
			r, "the key must be a struct or an enum: its names are the label names");
	r->table->has_who = !strcmp(schema_name(r->btf, t), "who");
	if (r->table->has_who && btf_is_typedef(outer) &&
	    !strcmp(schema_name(r->btf, outer), "process_t"))
		r->table->level = LEVEL_PROCESS;
	err = read_key_members(r, t, 0, &end, false);
	if (!err && end != (__u32)btf__resolve_size(r->btf, type_id))
		return schema_bad(r, "the key has a hole at its end; fill it with a member whose "
				     "name starts with '_'");
	return !err && !strcmp(schema_name(r->btf, t), "who") ? check_who(r, t) : err;
}
