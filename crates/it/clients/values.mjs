// What the published search parameters find in the published examples, by NLM's FHIRPath engine.
//
// node values.mjs FOLDER-WITH-EXAMPLES FOLDER-WITH-DEFINITIONS VERSION
// prints one JSON line per value: {type, id, param, kind, value}, or {type, id, param, missing: true}
// where the parameter finds nothing in that resource, {…, inside: true} where only what it contains. Knows nothing of Insula.

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// Modules lie in the folder of the caller, not in that of this file.
const require = createRequire(join(process.cwd(), "here.js"));
const fhirpath = require("fhirpath");
const r4 = require("fhirpath/fhir-context/r4");
const r5 = require("fhirpath/fhir-context/r5");

const VALUES_A_PARAMETER = 20;
const MISSING_A_PARAMETER = 2;

const [examples, definitions, version] = process.argv.slice(2);
const read = (folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".json") && name !== "package.json" && !name.startsWith("."))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")))
    .filter((resource) => resource.resourceType && resource.id);
const resources = read(examples);

/** The engine has no model of R4B: what R4 lacks is as in R5. */
const modelOf = (type) => (version === "5.0.0" || !r4.type2Parent[type] ? r5 : r4);

// What the server itself decides, whatever an example says.
const SERVERS = ["_id", "_lastUpdated"];

// The specification's own parameters; its package also holds examples *of* search parameters.
const parameters = (definitions === examples ? resources : read(definitions)).filter(
  (r) =>
    r.resourceType === "SearchParameter" &&
    r.expression &&
    r.processingMode !== "other" &&
    !/^example/.test(r.id) &&
    !SERVERS.includes(r.code),
);

/** The alternatives of an expression: `|` outside brackets separates them. */
function alternatives(expression) {
  const found = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < expression.length; at++) {
    if (expression[at] === "(") depth++;
    else if (expression[at] === ")") depth--;
    else if (expression[at] === "|" && depth === 0) {
      found.push(expression.slice(from, at));
      from = at + 1;
    }
  }
  found.push(expression.slice(from));
  return found.map((part) => part.trim());
}

const RESOLVES = /\.where\(resolve\(\) is (\w+)\)/g;
const compiled = new Map();

/** R4 and R4B write `as` where a list may stand, and a function of its own: what today's FHIRPath has. */
const modern = (expression) =>
  expression
    .replace(/\(([\w.]+) as (\w+)\)/g, "$1.ofType($2)")
    .replace(/^([\w.]+) as (\w+)$/, "$1.ofType($2)")
    .replace(/\.as\((\w+)\)/g, ".ofType($1)")
    .replace(/hasExtension\(([^)]*)\)/g, "extension($1).exists()");

/** Evaluates an expression: a list of [value, type]. */
function evaluate(resource, base, expression, model) {
  const key = `${base} ${expression} ${model === r5}`;
  if (!compiled.has(key)) {
    const path = base ? { base, expression: modern(expression) } : modern(expression);
    compiled.set(key, fhirpath.compile(path, model, { resolveInternalTypes: false }));
  }
  const values = compiled.get(key)(resource, { resource });
  const types = fhirpath.types(values);
  return values.map((value, at) => [value, types[at].replace(/^\w+\./, "")]);
}

/** What a parameter finds in a resource. */
function found(parameter, resource) {
  const type = resource.resourceType;
  const own = new RegExp(`^\\(*(${type}|[a-z]\\w*)\\b`);
  const all = [];
  for (const abstract of alternatives(parameter.expression)) {
    // The engine knows an instance by its own type only.
    const part = abstract.replace(/^(\(*)(Domain)?Resource\b/, `$1${type}`);
    if (!own.test(part)) continue;
    // The engine could only resolve by asking a server: the type stands in the reference itself.
    const target = [...part.matchAll(RESOLVES)].map((match) => match[1])[0];
    const values = evaluate(resource, null, part.replaceAll(RESOLVES, ""), modelOf(type));
    const contained = (value) => resource.contained?.find((inner) => `#${inner.id}` === value.reference)?.resourceType;
    const right = ([value]) =>
      !target ||
      value.type === target ||
      contained(value) === target ||
      `/${value.reference}`.includes(`/${target}/`);
    all.push(...values.filter(right));
  }
  return all;
}

const escape = (text) => String(text).replace(/[\\,$|]/g, (c) => `\\${c}`);
const primitive = (value) => (value === null || typeof value === "object" ? value?.asStr : value);

/** A value as one searches for it; undefined where there is no plain way. */
function query(kind, [value, type]) {
  if (type === "CodeableReference") {
    const part = { token: ["concept", "CodeableConcept"], reference: ["reference", "Reference"] }[kind];
    return part && value[part[0]] ? query(kind, [value[part[0]], part[1]]) : undefined;
  }
  const plain = primitive(value);
  switch (kind) {
    case "token": {
      if (plain !== undefined) return escape(plain);
      if (type === "ContactPoint") return value.value && escape(value.value);
      const coding = type === "CodeableConcept" ? value.coding?.find((c) => c.code) : value;
      const code = coding?.code ?? coding?.value;
      if (code === undefined) return undefined;
      return coding.system ? `${escape(coding.system)}|${escape(code)}` : escape(code);
    }
    case "string": {
      const text = plain ?? value.family ?? value.given?.[0] ?? value.city ?? value.text;
      // Case and accents are the server's affair; the beginning must match.
      return typeof text === "string" && text.trim() ? escape(text.trim().slice(0, 24)) : undefined;
    }
    case "date":
      // Some parameters of dates also find texts, which no date is compared with.
      if (typeof plain === "string") return /^\d{4}/.test(plain) ? plain : undefined;
      if (type === "Period" && value.start) return `ge${value.start}`;
      if (type === "Period" && value.end) return `le${value.end}`;
      return undefined;
    case "reference": {
      const text = plain ?? value.reference;
      if (!text || text.startsWith("#") || text.includes("/_history/")) return undefined;
      // The bar before a canonical's version is syntax, none of the value.
      return type === "canonical" ? text.split("|").map(escape).join("|") : escape(text);
    }
    case "number":
      return plain;
    case "quantity": {
      if (value.value === undefined || value.comparator) return undefined;
      // An exponent would be right too, but is another question.
      const number = String(value.value);
      if (/e/i.test(number)) return undefined;
      if (value.currency) return `${number}||${value.currency}`;
      if (value.code) return `${number}|${escape(value.system ?? "")}|${escape(value.code)}`;
      return number;
    }
    case "uri":
      return plain === undefined ? undefined : escape(plain);
    default:
      return undefined;
  }
}

const byUrl = new Map(parameters.map((parameter) => [parameter.url, parameter]));

/** Pairs of a composite parameter. */
function composite(parameter, resource) {
  const pairs = [];
  for (const [node, type] of found(parameter, resource)) {
    const path = alternatives(parameter.expression).find((p) => p.startsWith(resource.resourceType));
    const base = node === resource ? resource.resourceType : path;
    if (!/^[\w.]+$/.test(base) || type === undefined) continue;
    const parts = parameter.component.map((component) => {
      const kind = byUrl.get(component.definition)?.type;
      const expression = component.expression.replaceAll(RESOLVES, "");
      const values = evaluate(node, base, expression, modelOf(resource.resourceType));
      return values.map((value) => query(kind, value)).find((text) => text !== undefined);
    });
    if (parts.every((part) => part !== undefined)) pairs.push(parts.join("$"));
  }
  return pairs;
}

const counts = new Map();
function room(key, limit) {
  const count = counts.get(key) ?? 0;
  counts.set(key, count + 1);
  return count < limit;
}

for (const resource of resources) {
  const { resourceType: type, id } = resource;
  for (const parameter of parameters) {
    if (!parameter.base.some((base) => [type, "Resource", "DomainResource"].includes(base))) continue;
    const { code: param, type: kind } = parameter;
    const key = `${type}.${param}`;
    if ((counts.get(key) ?? 0) >= VALUES_A_PARAMETER) continue;
    const line = { type, id, param, kind };
    if (kind === "composite") {
      const value = composite(parameter, resource)[0];
      if (value !== undefined && room(key, VALUES_A_PARAMETER)) console.log(JSON.stringify({ ...line, value }));
      continue;
    }
    const values = found(parameter, resource);
    if (values.length === 0) {
      if (room(`${key} missing`, MISSING_A_PARAMETER)) console.log(JSON.stringify({ ...line, missing: true }));
      continue;
    }
    const value = values.map((value) => query(kind, value)).find((text) => text !== undefined);
    const inside = ([value]) => `${value?.reference}`.startsWith("#");
    if (value === undefined && kind === "reference" && values.every(inside)) {
      // What is contained has no address to search for, and is there.
      if (room(`${key} inside`, MISSING_A_PARAMETER)) console.log(JSON.stringify({ ...line, inside: true }));
      continue;
    }
    if (value !== undefined && room(key, VALUES_A_PARAMETER)) {
      console.log(JSON.stringify({ ...line, value: String(value) }));
    }
  }
}
