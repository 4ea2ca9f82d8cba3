// node k8s-validate.mjs SWAGGER MODULES FILE...
//
// Judges each YAML document by the Kubernetes API's own description (SWAGGER; ajv and js-yaml are in
// MODULES), fields it does not know included, then by what a schema cannot see: selectors that miss
// the labels, ports that a probe or a Service names but no container has, mounts without a volume.
// Prints what is wrong, one line each; exits 1 if anything is. It does not admit a pod.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const [, , swagger, modules, ...files] = process.argv;
const require = createRequire(path.resolve(modules) + "/");
const unwrap = (m) => m.default ?? m;
const Ajv = unwrap(require("ajv"));
const yaml = require("js-yaml");
const definitions = JSON.parse(fs.readFileSync(swagger)).definitions;
const complaints = [];

const kinds = {};
for (const [name, schema] of Object.entries(definitions))
	for (const k of schema["x-kubernetes-group-version-kind"] ?? [])
		kinds[`${k.group ? `${k.group}/` : ""}${k.version} ${k.kind}`] = name;

function strict(s) {
	if (Array.isArray(s)) return s.map(strict);
	if (s === null || typeof s !== "object") return s;
	if (s.format === "int-or-string") return { type: ["integer", "string"] };
	const out = {};
	for (const [key, value] of Object.entries(s)) {
		if (key.startsWith("x-kubernetes-") || key === "default" || key === "format") continue;
		// A field may itself be called "format" or "default": names of fields are not keywords.
		out[key] =
			key === "properties"
				? Object.fromEntries(Object.entries(value).map(([field, f]) => [field, strict(f)]))
				: strict(value);
	}
	if (out.properties && out.additionalProperties === undefined) out.additionalProperties = false;
	return out;
}

// Only what the kind refers to: compiling the whole API takes seconds.
function closure(root) {
	const out = {};
	const todo = [root];
	while (todo.length) {
		const name = todo.pop();
		if (out[name]) continue;
		out[name] = name.endsWith(".api.resource.Quantity")
			? { anyOf: [{ type: "number" }, { type: "string", pattern: "^[0-9]+(\\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?$" }] }
			: strict(definitions[name]);
		for (const m of JSON.stringify(out[name]).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)) todo.push(m[1]);
	}
	return out;
}

function judge(where, doc) {
	const name = kinds[`${doc?.apiVersion} ${doc?.kind}`];
	if (!name) {
		complaints.push(`${where}: no schema for ${doc?.apiVersion} ${doc?.kind}`);
		return;
	}
	const ok = new Ajv({ strict: false, allErrors: true, logger: false }).compile({
		definitions: closure(name),
		$ref: `#/definitions/${name}`,
	});
	if (!ok(doc))
		for (const e of ok.errors)
			complaints.push(`${where}${e.instancePath} ${e.message} ${e.params.additionalProperty ?? ""}`.trim());
}

const matches = (selector, labels) => Object.entries(selector ?? {}).every(([k, v]) => labels?.[k] === v);

function templateOf(doc) {
	return doc?.spec?.template?.spec ? doc.spec.template : null;
}

function ownChecks(where, doc) {
	const template = templateOf(doc);
	if (!template) return;
	const selector = doc.spec.selector?.matchLabels;
	if (selector && !matches(selector, template.metadata?.labels))
		complaints.push(`${where}: the selector does not match the labels of its template`);
	const volumes = (template.spec.volumes ?? []).map((v) => v.name);
	for (const c of template.spec.containers ?? []) {
		for (const m of c.volumeMounts ?? [])
			if (!volumes.includes(m.name)) complaints.push(`${where}: mount ${m.name} has no volume`);
		for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
			const port = c[probe]?.httpGet?.port;
			if (port !== undefined && !(c.ports ?? []).some((p) => p.name === port || p.containerPort === port))
				complaints.push(`${where}: ${probe} asks for port ${port}, which is not there`);
		}
	}
	const mounted = (template.spec.containers ?? []).flatMap((c) => (c.volumeMounts ?? []).map((m) => m.name));
	for (const v of volumes) if (!mounted.includes(v)) complaints.push(`${where}: volume ${v} is not mounted`);
}

function together(file, docs) {
	const templates = docs.map(templateOf).filter(Boolean);
	for (const s of docs.filter((d) => d?.kind === "Service")) {
		const behind = templates.filter((t) => matches(s.spec?.selector, t.metadata?.labels));
		if (!behind.length) complaints.push(`${file}: Service ${s.metadata?.name} selects no pod`);
		for (const p of s.spec?.ports ?? [])
			for (const t of behind)
				if (!t.spec.containers.some((c) => (c.ports ?? []).some((q) => [q.name, q.containerPort].includes(p.targetPort))))
					complaints.push(`${file}: Service port ${p.name} targets ${p.targetPort}, which is not there`);
	}
	const accounts = docs.filter((d) => d?.kind === "ServiceAccount").map((d) => d.metadata?.name);
	for (const t of templates)
		if (t.spec.serviceAccountName && !accounts.includes(t.spec.serviceAccountName))
			complaints.push(`${file}: there is no ServiceAccount ${t.spec.serviceAccountName}`);
}

// What we promise about privileges: each would be easy to lose in an edit.
function hardened(where, doc) {
	const spec = templateOf(doc)?.spec;
	if (!spec) return;
	for (const v of spec.volumes ?? []) if (v.hostPath) {
		for (const m of spec.containers.flatMap((c) => c.volumeMounts ?? []))
			if (m.name === v.name && m.readOnly !== true) complaints.push(`${where}: the host's ${v.hostPath.path} can be written`);
	}
	if (spec.automountServiceAccountToken !== false) complaints.push(`${where}: has a service account's token`);
	for (const key of ["hostIPC", "hostNetwork"])
		if (spec[key]) complaints.push(`${where}: shares the host's namespace by ${key}`);
	for (const c of spec.containers) {
		const s = c.securityContext ?? {};
		if (s.privileged) complaints.push(`${where}: ${c.name} is privileged`);
		if (s.allowPrivilegeEscalation !== false) complaints.push(`${where}: ${c.name} may gain privileges`);
		if (s.readOnlyRootFilesystem !== true) complaints.push(`${where}: ${c.name} can write its root folder`);
		if (!s.capabilities?.drop?.includes("ALL")) complaints.push(`${where}: ${c.name} keeps capabilities`);
		for (const cap of s.capabilities?.add ?? [])
			if (!["BPF", "PERFMON", "SYS_RESOURCE"].includes(cap))
				complaints.push(`${where}: ${c.name} has capability ${cap}`);
	}
}

for (const file of files) {
	let docs;
	try {
		docs = yaml.loadAll(fs.readFileSync(file, "utf8"));
	} catch (e) {
		complaints.push(`${file}: ${e.message.split("\n")[0]}`);
		continue;
	}
	if (!docs.length) complaints.push(`${file}: empty`);
	docs.forEach((doc, i) => {
		const where = `${path.basename(file)} ${doc?.kind ?? `document ${i + 1}`}`;
		judge(where, doc);
		ownChecks(where, doc);
		hardened(where, doc);
	});
	together(path.basename(file), docs);
}
complaints.forEach((line) => console.log(line));
process.exit(complaints.length ? 1 : 0);
