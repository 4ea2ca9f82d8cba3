// Lint of a Grafana dashboard, after the rules of Grafana's dashboard-linter and a few of our own.
//
//   node dashboard.mjs lint FILE       prints what is wrong, one line each; exits 1 if anything is
//   node dashboard.mjs rules FILE      prints a rules file with each query as a recording rule,
//                                      variables replaced, for promtool check rules
//   node dashboard.mjs mutants FILE    breaks a copy once for each rule; prints the rules that let
//                                      it pass
//   node dashboard.mjs schema FILE DIR MODULES
//                                      judges by the JSON schemas in DIR with ajv from MODULES
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const all = (d) => (d.panels ?? []).flatMap((p) => [p, ...(p.panels ?? [])]);
const charts = (d) => all(d).filter((p) => p.type !== "row" && p.type !== "text");
const variables = (d) => d.templating?.list ?? [];
const queries = (d) => charts(d).flatMap((p) => (p.targets ?? []).map((t) => [p, t]));
const builtin = ["__rate_interval", "__range", "__interval", "__all"];

// Each selector of an expression: the metric and what stands in its braces.
function selectors(expr) {
	const found = [];
	for (const m of expr.matchAll(/\b(?:e?bpf_|process_)[a-zA-Z0-9_]+|(?<![\w)])up(?=\W|$)/g)) {
		const rest = expr.slice(m.index + m[0].length);
		found.push([m[0], /^\s*\{([^}]*)\}/.exec(rest)?.[1] ?? ""]);
	}
	return found;
}

function overlaps(d) {
	const bad = [];
	const boxes = all(d).map((p) => [p.title, p.gridPos ?? {}]);
	boxes.forEach(([title, a], i) => {
		if (!(a.w > 0 && a.h > 0 && a.x >= 0 && a.y >= 0 && a.x + a.w <= 24))
			bad.push(`${title}: not within the 24 columns`);
		for (const [other, b] of boxes.slice(i + 1))
			if (a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h)
				bad.push(`${title}: overlaps ${other}`);
	});
	return bad;
}

const repeated = (list) => list.filter((v, i) => list.indexOf(v) !== i);
const has = (d, name, type) => variables(d).some((v) => v.name === name && v.type === type);
const uid = "${datasource}";

// rule: [what it finds (a list of complaints), a mutation that it must find]
const rules = {
	"uid is there, at most 40 characters": [
		(d) => (/^[a-z0-9-]{1,40}$/.test(d.uid ?? "") ? [] : [d.uid]),
		(d) => (d.uid = "x".repeat(41)),
	],
	"id is left to Grafana": [(d) => (d.id == null ? [] : [d.id]), (d) => (d.id = 7)],
	"title starts with 'bpf_exporter / '": [
		(d) => (/^bpf_exporter \/ \S/.test(d.title ?? "") ? [] : [d.title]),
		(d) => (d.title = "TCP"),
	],
	"tag bpf_exporter": [
		(d) => (d.tags?.includes("bpf_exporter") ? [] : ["absent"]),
		(d) => (d.tags = ["tcp"]),
	],
	"schemaVersion 39": [
		(d) => (d.schemaVersion === 39 ? [] : [d.schemaVersion]),
		(d) => (d.schemaVersion = 16),
	],
	"not editable": [(d) => (d.editable === false ? [] : ["editable"]), (d) => delete d.editable],
	"datasource variable of type prometheus": [
		(d) =>
			variables(d).some((v) => v.name === "datasource" && v.type === "datasource" && v.query === "prometheus")
				? []
				: ["absent"],
		(d) => (variables(d)[0].query = "loki"),
	],
	"job and instance variables": [
		(d) => ["job", "instance"].filter((n) => !has(d, n, "query")),
		(d) => d.templating.list.splice(1, 1),
	],
	"job and instance come from bpf_exporter_build_info": [
		(d) =>
			variables(d)
				.filter((v) => ["job", "instance"].includes(v.name) && !/bpf_exporter_build_info\b/.test(v.query))
				.map((v) => v.name),
		(d) => (variables(d)[1].query = "label_values(up, job)"),
	],
	"query variables reload on time change": [
		(d) => variables(d).filter((v) => v.type === "query" && v.refresh !== 2).map((v) => v.name),
		(d) => (variables(d)[2].refresh = 1),
	],
	"query variables use the datasource variable": [
		(d) => variables(d).filter((v) => v.type === "query" && v.datasource?.uid !== uid).map((v) => v.name),
		(d) => (variables(d)[2].datasource.uid = "P1809F7CD0C75ACF3"),
	],
	"several values and All can be chosen": [
		(d) => variables(d).filter((v) => v.type === "query" && !(v.multi && v.includeAll)).map((v) => v.name),
		(d) => (variables(d)[2].multi = false),
	],
	"variables that are used exist": [
		(d) => {
			const known = [...variables(d).map((v) => v.name), ...builtin];
			const used = JSON.stringify(d).matchAll(/\$\{?([A-Za-z_]\w*)/g);
			return [...used].map((m) => m[1]).filter((n) => !known.includes(n));
		},
		(d) => (queries(d)[0][1].expr += " * $typo"),
	],
	"there are panels": [(d) => (charts(d).length ? [] : ["none"]), (d) => (d.panels = [])],
	"panel ids are unique": [
		(d) => [...repeated(all(d).map((p) => p.id)), ...all(d).filter((p) => !(p.id > 0)).map((p) => p.title)],
		(d) => (d.panels[2].id = d.panels[1].id),
	],
	"panel titles are unique": [
		(d) => repeated(all(d).map((p) => p.title)),
		(d) => (d.panels[2].title = d.panels[1].title),
	],
	"panels do not overlap": [overlaps, (d) => (d.panels[2].gridPos.x -= 1)],
	"panels have a title": [
		(d) => all(d).filter((p) => !p.title?.trim()).map((p) => p.id),
		(d) => (d.panels[1].title = " "),
	],
	"panels have a description that says something": [
		(d) => charts(d).filter((p) => !(p.description?.length >= 40)).map((p) => p.title),
		(d) => delete d.panels[1].description,
	],
	"panels have a unit": [
		(d) => charts(d).filter((p) => !p.fieldConfig?.defaults?.unit).map((p) => p.title),
		(d) => delete d.panels[1].fieldConfig.defaults.unit,
	],
	"panels use the datasource variable": [
		(d) => charts(d).filter((p) => p.datasource?.uid !== uid).map((p) => p.title),
		(d) => (d.panels[1].datasource = null),
	],
	"targets use the datasource variable": [
		(d) => queries(d).filter(([, t]) => t.datasource?.uid !== uid).map(([p]) => p.title),
		(d) => (queries(d)[0][1].datasource = { type: "prometheus", uid: "default" }),
	],
	"panels have a query": [
		(d) => charts(d).filter((p) => !p.targets?.length || p.targets.some((t) => !t.expr)).map((p) => p.title),
		(d) => (d.panels[1].targets = []),
	],
	"refIds are unique in a panel": [
		(d) => charts(d).filter((p) => repeated((p.targets ?? []).map((t) => t.refId)).length).map((p) => p.title),
		(d) => d.panels[1].targets.push(d.panels[1].targets[0]),
	],
	...Object.fromEntries(
		["job", "instance"].map((label) => [
			`each selector matches ${label}=~"$${label}"`,
			[
				(d) =>
					queries(d).flatMap(([p, t]) =>
						selectors(t.expr)
							.filter(([, braces]) => !braces.includes(`${label}=~"$${label}"`))
							.map(([metric]) => `${p.title}: ${metric}`),
					),
				(d) => {
					const t = queries(d).at(-1)[1];
					t.expr = t.expr.replace(`${label}=~"$${label}"`, `${label}="$${label}"`);
				},
			],
		]),
	),
	"rate() and increase() over $__rate_interval (a table: $__range)": [
		(d) =>
			queries(d)
				.filter(([, t]) =>
					[...t.expr.matchAll(/\b(i?rate|increase|i?delta)\(\s*[\w:]+\s*(?:\{[^}]*\})?\s*(\[[^\]]*\])?/g)].some(
						(m) => m[2] !== "[$__rate_interval]" && !(t.instant && m[1] === "increase" && m[2] === "[$__range]"),
					),
				)
				.map(([p]) => p.title),
		(d) => {
			const t = queries(d).find(([, q]) => /\brate\(/.test(q.expr))[1];
			t.expr = t.expr.replace("$__rate_interval", "5m");
		},
	],
	"no rate() of a gauge, and no bare counter in a graph": [
		(d) =>
			queries(d)
				.filter(([, t]) => {
					const rated = [...t.expr.matchAll(/\b(?:rate|increase|max_over_time)\(\s*([\w:]+)/g)].map((m) => m[1]);
					const counter = (m) => /_(total|bucket|sum|count)$/.test(m);
					const bare = selectors(t.expr).map(([m]) => m).filter((m) => counter(m) && !rated.includes(m));
					return bare.length || rated.some((m) => !counter(m));
				})
				.map(([p]) => p.title),
		(d) => {
			const t = queries(d).find(([, q]) => /\brate\(/.test(q.expr))[1];
			t.expr = t.expr.replace(/rate\((.*?)\[[^\]]*\]\)/, "$1");
		},
	],
	'the group "(removed)" is left out of the group level': [
		(d) =>
			queries(d).flatMap(([p, t]) =>
				selectors(t.expr)
					.filter(([metric, braces]) => /^ebpf_cgroup_/.test(metric) && !braces.includes('cgroup!="(removed)"'))
					.map(([metric]) => `${p.title}: ${metric}`),
			),
		(d) => {
			const t = queries(d).find(([, q]) => /ebpf_cgroup_/.test(q.expr))[1];
			t.expr = t.expr.replace(',cgroup!="(removed)"', "");
		},
	],
};

const lint = (d) =>
	Object.entries(rules).flatMap(([rule, [find]]) => {
		const found = [...new Set(find(d))];
		return found.length ? [`${rule}: ${found.join(", ")}`] : [];
	});

function mutants(d) {
	const passed = [];
	for (const [rule, [, mutate]] of Object.entries(rules)) {
		const copy = structuredClone(d);
		mutate(copy);
		if (JSON.stringify(copy) === JSON.stringify(d)) passed.push(`${rule}: its mutation changed nothing`);
		else if (!lint(copy).some((line) => line.startsWith(rule))) passed.push(rule);
	}
	return passed;
}

function promRules(d) {
	const value = { __rate_interval: "5m", __range: "1h", __interval: "1m" };
	const plain = (s) => s.replace(/\$\{?(\w+)\}?/g, (_, n) => value[n] ?? "x");
	const list = queries(d).map(([p, t], i) => ({
		record: `panel${p.id}:${t.refId}:${i}`,
		expr: plain(t.expr),
	}));
	// What a variable asks for is a selector too.
	variables(d).forEach((v) => {
		const m = /^label_values\((.+),\s*\w+\)$/.exec(v.type === "query" ? v.query : "");
		if (m) list.push({ record: `variable:${v.name}`, expr: plain(m[1]) });
	});
	return { groups: [{ name: "dashboard", rules: list }] };
}

function schema(d, dir, modules) {
	const require = createRequire(path.resolve(modules) + "/");
	const load = require("ajv");
	const Ajv = load.default ?? load;
	const read = (name) => {
		const file = path.join(dir, `${name}.jsonschema.json`);
		return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : null;
	};
	const complaints = [];
	const compiled = {};
	const judge = (where, value, name, definition) => {
		const key = `${name}#${definition}`;
		if (!(key in compiled)) {
			const s = read(name);
			compiled[key] = s?.definitions?.[definition]
				? new Ajv({ strict: false, allErrors: true, logger: false }).compile({
						definitions: s.definitions,
						$ref: `#/definitions/${definition}`,
					})
				: null;
		}
		const ok = compiled[key];
		if (!ok) complaints.push(`${where}: there is no schema ${key}`);
		else if (!ok(value))
			complaints.push(
				...ok.errors.map(
					(e) => `${where}${e.instancePath} ${e.message} ${e.params.additionalProperty ?? ""}`,
				),
			);
	};
	judge("dashboard", { ...d, panels: [] }, "dashboard", "Dashboard");
	for (const p of all(d)) {
		judge(`panel ${p.id}`, p, "dashboard", p.type === "row" ? "RowPanel" : "Panel");
		if (p.type === "row") continue;
		judge(`panel ${p.id} options`, p.options ?? {}, p.type, "Options");
		if (p.fieldConfig?.defaults?.custom)
			judge(`panel ${p.id} custom`, p.fieldConfig.defaults.custom, p.type, "FieldConfig");
		for (const t of p.targets ?? []) judge(`panel ${p.id} target`, t, "prometheus", "Dataquery");
	}
	return complaints;
}

const [, , what, file, ...more] = process.argv;
const dashboard = JSON.parse(fs.readFileSync(file));
if (what === "rules") console.log(JSON.stringify(promRules(dashboard), null, 1));
else {
	const lines = { lint, mutants, schema }[what](dashboard, ...more);
	lines.forEach((line) => console.log(line));
	process.exit(lines.length ? 1 : 0);
}
