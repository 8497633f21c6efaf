"use strict";
// Reads openapi.json and shows it: every text becomes a text node, never markup, and nothing is loaded from elsewhere.

const METHODS = ["post", "get", "put", "delete", "patch"];
const ON_EVERY_ANSWER = "X-Request-Id";
const JSON_TYPE = "application/json";
const MOST_SHOWN = 100000;
let api;

/** Make an element: attributes, then children, of which strings become text. */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/* Words: the little Markdown that descriptions use. */

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return h("strong", {}, inline(part.slice(2, -2)));
    return part;
  });
}

function markdown(text) {
  return (text || "").trim().split(/\n\s*\n/).filter(Boolean).map((block) => {
    if (!/^\s*[-*] /.test(block)) return h("p", {}, inline(block.replace(/\s*\n\s*/g, " ")));
    const items = block.split(/\n(?=\s*[-*] )/).map((item) => item.replace(/^\s*[-*] /, "").replace(/\s*\n\s*/g, " "));
    return h("ul", {}, items.map((item) => h("li", {}, inline(item))));
  });
}

/** Colour JSON; anything else stays as it is. */
function highlighted(text) {
  const parts = text.split(/("(?:[^"\\]|\\.)*"(?:\s*:)?|-?\b\d+(?:\.\d+)?(?:[eE][-+]?\d+)?\b|\btrue\b|\bfalse\b|\bnull\b)/);
  return parts.map((part, index) => {
    if (index % 2 === 0) return part;
    const kind = part.endsWith(":") ? "k" : part.startsWith('"') ? "s" : "n";
    return h("span", { class: kind }, part);
  });
}

/* Schemas. */

function resolve(item) {
  if (!item || !item.$ref) return item || {};
  return item.$ref.split("/").slice(1).reduce((place, step) => place[step], api);
}

function nameOf(schema) {
  return schema && schema.$ref ? schema.$ref.split("/").pop() : "";
}

function optionsOf(schema) {
  return schema.anyOf || schema.oneOf || [schema];
}

/** Say a type in words: "integer from 1 to 1000 or "auto"". */
function typeOf(schema) {
  return optionsOf(schema).map(typeOfOne).join(" or ");
}

function typeOfOne(schema) {
  if (schema.$ref) return nameOf(schema);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items || {})}`;
  const inner = schema.additionalProperties;
  if (schema.type === "object" && inner && typeof inner === "object") return `object of ${typeOf(inner)}`;
  return (schema.format || schema.type || "anything") + limitsOf(schema);
}

function limitsOf(schema) {
  const signs = { minimum: "≥", exclusiveMinimum: ">", maximum: "≤", exclusiveMaximum: "<" };
  const said = Object.keys(signs).filter((key) => key in schema).map((key) => ` ${signs[key]} ${schema[key]}`);
  if (schema.maxLength !== undefined) said.push(` up to ${schema.maxLength} characters`);
  return said.join(",");
}

/** Find the named object behind a schema, if there is one to unfold. */
function objectIn(schema) {
  for (const option of optionsOf(schema || {})) {
    const found = option.$ref ? resolve(option) : option;
    if (found.properties) return { name: nameOf(option), schema: found };
    const inner = found.items || (typeof found.additionalProperties === "object" ? found.additionalProperties : null);
    const deeper = inner && objectIn(inner);
    if (deeper) return deeper;
  }
  return null;
}

function fieldsOf(schema, path) {
  const required = new Set(schema.required || []);
  return h("ul", { class: "fields" }, Object.entries(schema.properties || {}).map(([name, field]) =>
    fieldLine(name, field, { required: required.has(name), description: field.description }, path)));
}

/** Show one field or parameter; what it holds is unfolded on request, and only then built. */
function fieldLine(name, schema, { required, description }, path = []) {
  const inner = objectIn(schema);
  const line = h("li", {},
    h("div", { class: "field" }, h("b", {}, name), h("span", { class: "type" }, typeOf(schema)),
      required ? h("span", { class: "must" }, "required") : ""),
    description ? h("p", {}, inline(description)) : "",
    schema.default !== undefined && !isEmpty(schema.default)
      ? h("p", { class: "default" }, "Default ", h("code", {}, JSON.stringify(schema.default))) : "",
    schema.examples && optionsOf(schema).some((option) => option.type === "string")
      ? h("p", { class: "default" }, "Such as ", schema.examples.map((value, index) => [index ? ", " : "", h("code", {}, String(value))])) : "");
  if (inner && !path.includes(inner.name)) line.append(unfolding(inner, [...path, inner.name]));
  return line;
}

function isEmpty(value) {
  return value === null || (typeof value === "object" && Object.keys(value).length !== 1 && !Array.isArray(value));
}

function unfolding(inner, path) {
  const count = Object.keys(inner.schema.properties).length;
  const details = h("details", {}, h("summary", {}, `${inner.name || "its"} fields (${count})`));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(fieldsOf(inner.schema, path));
  });
  return details;
}

/* One operation. */

function parametersOf(operation, place) {
  return (operation.parameters || []).map(resolve).filter((parameter) => parameter.in === place);
}

function parameterSection(operation) {
  const titles = { path: "In the path", query: "Query", header: "Headers" };
  return Object.entries(titles).map(([place, title]) => {
    const found = parametersOf(operation, place);
    if (!found.length) return "";
    return [h("h4", {}, title), h("ul", { class: "fields" }, found.map((item) =>
      fieldLine(item.name, withoutNull(item.schema), item)))];
  });
}

/** A parameter is left out, never sent as null. */
function withoutNull(schema) {
  return schema.anyOf ? { ...schema, anyOf: schema.anyOf.filter((option) => option.type !== "null") } : schema;
}

function bodySection(operation) {
  const body = operation.requestBody;
  if (!body) return "";
  const [type, content] = mainContent(body.content);
  const inner = objectIn(content.schema);
  const types = Object.keys(body.content);
  return [h("h4", {}, "Body"),
    body.description ? h("p", {}, inline(body.description)) : "",
    types.length > 1 || type !== JSON_TYPE ? h("p", {}, "One of ", types.map((name, index) => [index ? ", " : "", h("code", {}, name)])) : "",
    inner && types.length > 1 ? h("p", {}, "As ", h("code", {}, type), ":") : "",
    inner ? fieldsOf(inner.schema, [inner.name]) : ""];
}

function mainContent(contents) {
  return [JSON_TYPE, ...Object.keys(contents)].map((type) => [type, contents[type]]).find(([, content]) => content);
}

/** List the examples of a content as [title, value] pairs. */
function examplesOf(content) {
  if (!content) return [];
  if (content.examples) return Object.values(content.examples).map((item) => [item.summary || "Example", item.value]);
  if (content.example !== undefined) return [["Example", content.example]];
  return [];
}

function asText(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function filledPath(path, operation, values = {}) {
  return path.replace(/\{(\w+)\}/g, (whole, name) => {
    const parameter = parametersOf(operation, "path").find((item) => item.name === name) || {};
    const given = values[name] ?? parameter.example ?? ((parameter.schema || {}).examples || [])[0];
    return given === undefined ? whole : encodeURIComponent(given).replace(/%3A/g, ":").replace(/%40/g, "@");
  });
}

function keyOf() {
  return document.getElementById("key").value.trim();
}

function curl(method, path, operation, body) {
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${location.origin}${filledPath(path, operation)}`];
  if (keyOf()) lines.push('-H "Authorization: Bearer $TUNESMITH_API_KEY"');
  if (operation.requestBody && operation.requestBody.content["multipart/form-data"]) lines.push("-F file=@data.csv");
  else if (body !== undefined) lines.push(`--json '${asText(body).replaceAll("'", "'\\''")}'`);
  return lines.join(" \\\n  ");
}

function python(method, path, operation, body) {
  const url = `"${location.origin}${filledPath(path, operation)}"`;
  const given = [url];
  if (operation.requestBody && operation.requestBody.content["multipart/form-data"]) given.push('files={"file": open("data.csv", "rb")}');
  else if (body !== undefined) given.push(`json=${literal(body)}`);
  if (keyOf()) given.push('headers={"Authorization": f"Bearer {os.environ[\'TUNESMITH_API_KEY\']}"}');
  const inside = given.length > 1 ? `\n    ${given.join(",\n    ")},\n` : url;
  return `${keyOf() ? "import os\n\n" : ""}import httpx\n\nanswer = httpx.${method}(${inside})\nprint(answer.status_code, answer.text)`;
}

function literal(value) {
  return JSON.stringify(value, null, 4).replace(/\n/g, "\n    ").replace(/\btrue\b/g, "True").replace(/\bfalse\b/g, "False").replace(/\bnull\b/g, "None");
}

/** Make a panel whose tabs show one thing at a time; the choice may depend on a list of examples. */
function panel(tabs, extra) {
  const shown = h("div", {});
  const buttons = tabs.map(({ title, kind, show }) => h("button", {
    type: "button", role: "tab", "aria-selected": "false", class: kind,
    onclick: (event) => {
      for (const other of buttons) other.setAttribute("aria-selected", String(other === event.currentTarget));
      shown.replaceChildren(...[show()].flat(Infinity).filter(Boolean));
    },
  }, title));
  buttons[0].click();
  const again = () => buttons.find((button) => button.getAttribute("aria-selected") === "true").click();
  const copy = h("button", { type: "button", class: "copy", onclick: () => copyOut(shown, copy) }, "Copy");
  return { element: h("div", { class: "panel" }, h("div", { class: "bar", role: "tablist" }, buttons, extra || "", copy), shown), again };
}

async function copyOut(shown, button) {
  const text = shown.querySelector("pre, textarea");
  if (!text) return;
  await navigator.clipboard.writeText(text.value ?? text.textContent);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1200);
}

function requestPanel(method, path, operation) {
  const content = operation.requestBody && operation.requestBody.content[JSON_TYPE];
  const examples = examplesOf(content);
  let chosen = 0;
  const body = () => (examples[chosen] || [])[1];
  const select = examples.length > 1 ? h("select", {
    "aria-label": "Example",
    onchange: () => { chosen = select.selectedIndex; made.again(); },
  }, examples.map(([title]) => h("option", {}, title))) : null;
  const made = panel([
    { title: "curl", show: () => h("pre", {}, curl(method, path, operation, body())) },
    { title: "Python", show: () => h("pre", {}, python(method, path, operation, body())) },
    { title: "Try it", show: () => tryForm(method, path, operation, body()) },
  ], select);
  return made.element;
}

function answerPanel(operation) {
  const tabs = Object.entries(operation.responses).map(([status, answer]) => ({
    title: status === "default" ? "else" : status,
    kind: /^[45]/.test(status) ? "bad" : "",
    show: () => answerView(answer),
  }));
  return panel(tabs).element;
}

function answerView(answer) {
  const contents = Object.entries(answer.content || {});
  const headers = Object.entries(answer.headers || {}).filter(([name]) => name !== ON_EVERY_ANSWER);
  return [h("p", { class: "said" }, inline(answer.description)),
    headers.map(([name, header]) => h("p", { class: "said" }, h("code", {}, name), " ", inline(resolve(header).description || ""))),
    contents.map(([type, content]) => {
      const examples = examplesOf(content);
      const value = examples.length ? examples[0][1] : nameOf(content.schema) || typeOf(content.schema || {});
      return [contents.length > 1 ? h("p", { class: "said" }, h("code", {}, type)) : "", h("pre", {}, highlighted(asText(value)))];
    })];
}

function answerFields(operation) {
  const good = Object.entries(operation.responses).find(([status]) => status.startsWith("2"));
  const content = good && good[1].content && good[1].content[JSON_TYPE];
  const inner = content && objectIn(content.schema);
  return inner ? [h("h4", {}, "Answer"), unfolding(inner, [inner.name])] : "";
}

/* Trying it. */

function tryForm(method, path, operation, body) {
  const form = h("form", { class: "try" });
  const inputs = [...parametersOf(operation, "path"), ...parametersOf(operation, "query")];
  form.append(...inputs.map((item) => h("label", {}, item.name, h("input", { name: item.name, required: item.required, placeholder: resolve(item.schema).type === "object" && "name=value" }))));
  const takesFile = operation.requestBody && operation.requestBody.content["multipart/form-data"];
  if (takesFile) form.append(h("label", {}, "file", h("input", { type: "file", name: "file", required: true })));
  else if (body !== undefined) {
    const area = h("textarea", { name: "body", spellcheck: "false", "aria-label": "Body" });
    area.value = asText(body);
    form.append(area);
  }
  const button = h("button", { class: "send" }, `Send ${method.toUpperCase()}`);
  const result = h("div", { "aria-live": "polite" });
  form.append(h("div", {}, button), result);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    button.disabled = true;
    send(form, method, path, operation).then((shown) => result.replaceChildren(...shown), (error) => result.replaceChildren(String(error)))
      .finally(() => { button.disabled = false; });
  });
  return form;
}

async function send(form, method, path, operation) {
  const values = Object.fromEntries([...form.elements].filter((item) => item.name).map((item) => [item.name, item]));
  const given = Object.fromEntries(Object.entries(values).map(([name, item]) => [name, item.value]));
  const query = new URLSearchParams(parametersOf(operation, "query").flatMap((item) => pairsOf(item, given[item.name])));
  const headers = keyOf() ? { Authorization: `Bearer ${keyOf()}` } : {};
  let body;
  if (values.file) {
    body = new FormData();
    body.append("file", values.file.files[0]);
  } else if (values.body) {
    body = given.body;
    headers["Content-Type"] = JSON_TYPE;
  }
  const url = filledPath(path, operation, given) + (query.size ? `?${query}` : "");
  const began = performance.now();
  const answer = await fetch(url, { method: method.toUpperCase(), headers, body });
  const content = await answer.blob();
  return [h("p", {}, h("b", { class: answer.ok ? "" : "bad" }, `${answer.status} ${answer.statusText}`), ` in ${Math.round(performance.now() - began)} ms`),
    await shownContent(content, answer.headers)].filter(Boolean);
}

function pairsOf(item, value) {
  if (!value) return [];
  if (resolve(item.schema).type !== "object") return [[item.name, value]];
  return [...new URLSearchParams(value)].map(([name, each]) => [`${item.name}[${name}]`, each]);
}

async function shownContent(content, headers) {
  const kind = headers.get("content-type") || "";
  if (!content.size) return "";
  if (kind.startsWith("image/")) return h("img", { alt: "The picture that was answered", src: await asDataUrl(content) });
  if (!/json|^text\//.test(kind)) {
    const [, name] = /filename="([^"]+)"/.exec(headers.get("content-disposition") || "") || [];
    return h("p", {}, h("a", { href: URL.createObjectURL(content), download: name || "answer" }, `Save ${name || kind}`), ` (${content.size.toLocaleString()} bytes)`);
  }
  const text = await content.text();
  const pretty = kind.includes("json") ? asText(JSON.parse(text)) : text;
  const part = pretty.length > MOST_SHOWN ? `${pretty.slice(0, MOST_SHOWN)}\n… ${pretty.length - MOST_SHOWN} more characters` : pretty;
  return h("pre", {}, kind.includes("json") ? highlighted(part) : part);
}

function asDataUrl(content) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(content);
  });
}

/* The page. */

function operationCard({ method, path, operation }) {
  return h("article", { id: operation.operationId },
    h("header", {}, h("h3", {}, h("a", { href: `#${operation.operationId}` }, operation.summary)),
      h("div", { class: "path" }, h("span", { class: `method ${method.toUpperCase()}` }, method.toUpperCase()), path)),
    h("div", {}, markdown(operation.description), parameterSection(operation), bodySection(operation), answerFields(operation)),
    h("div", { class: "code" }, requestPanel(method, path, operation), answerPanel(operation)));
}

function operationsOf(tag) {
  return Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method] && item[method].tags.includes(tag))
    .map((method) => ({ method, path, operation: item[method] })));
}

function schemaSection() {
  const entries = Object.entries(api.components.schemas).filter(([, schema]) => schema.properties);
  return h("section", { class: "tag schemas", id: "schemas" }, h("h2", {}, "Schemas"), h("p", {}, "Every object that is sent or answered."),
    entries.map(([name, schema]) => {
      const details = h("details", { class: "schema", id: `schema-${name}` }, h("summary", {}, name));
      details.addEventListener("toggle", () => {
        if (details.open && details.children.length === 1) details.append(...markdown(schema.description), fieldsOf(schema, [name]));
      });
      return details;
    }));
}

/** Every problem that an operation gives as an example, once, by its code. */
function problemSection() {
  const examples = Object.values(api.paths).flatMap((item) => METHODS.filter((method) => item[method]).flatMap((method) => problemsOf(item[method])));
  const byCode = new Map(examples.map((example) => [example.code, example]));
  const codes = [...byCode.keys()].sort();
  return h("section", { class: "tag schemas", id: "problems" }, h("h2", {}, "Problems"),
    h("p", {}, "Every error answer has this shape, and a type that leads here. detail and remedy of an answer are about its request; these are examples."),
    codes.map((code) => h("details", { class: "schema", id: `problem-${code}` }, h("summary", {}, code),
      h("pre", {}, highlighted(asText(byCode.get(code)))))));
}

function problemsOf(operation) {
  return Object.values(operation.responses).flatMap((answer) => Object.values(resolve(answer).content || {}))
    .flatMap((content) => [content.example, ...Object.values(content.examples || {}).map((each) => each.value)])
    .filter((example) => example && typeof example === "object" && String(example.type).startsWith("/problems/"));
}

function goTo(hash) {
  const name = decodeURIComponent(hash.slice(1));
  const place = document.getElementById(name) || (name.startsWith("problem-") && document.getElementById("problems"));
  if (!place) return;
  if (place.tagName === "DETAILS") place.open = true;
  place.scrollIntoView({ behavior: "instant" });
}

function navigation(tags) {
  const nav = document.getElementById("nav");
  nav.replaceChildren(...tags.flatMap((tag) => [h("h2", {}, tag.name), ...operationsOf(tag.name).map(({ method, path, operation }) =>
    h("a", { href: `#${operation.operationId}`, title: `${method.toUpperCase()} ${path}` },
      h("span", { class: `method ${method.toUpperCase()}` }, method === "delete" ? "DEL" : method.toUpperCase()), operation.summary))]),
  h("h2", {}, "Reference"), h("a", { href: "#problems" }, "Problems"), h("a", { href: "#schemas" }, "Schemas"));
}

function filterNavigation() {
  const wanted = document.getElementById("filter").value.trim().toLowerCase();
  for (const link of document.querySelectorAll("#nav a")) {
    link.hidden = wanted !== "" && !`${link.textContent} ${link.title}`.toLowerCase().includes(wanted);
  }
}

function followScrolling() {
  const seen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id);
    const first = [...document.querySelectorAll("article")].find((article) => seen.has(article.id));
    for (const link of document.querySelectorAll("#nav a")) link.classList.toggle("here", Boolean(first) && link.hash === `#${first.id}`);
  }, { rootMargin: "-10% 0px -70% 0px" });
  for (const article of document.querySelectorAll("article")) watcher.observe(article);
}

function show() {
  document.title = `${api.info.title} API`;
  document.getElementById("version").textContent = api.info.version;
  const main = document.getElementById("content");
  main.replaceChildren(h("h1", { id: "top" }, `${api.info.title} API`), h("div", { class: "intro" }, markdown(api.info.description)),
    ...api.tags.map((tag) => h("section", { class: "tag", id: `tag-${tag.name}` }, h("h2", {}, tag.name), markdown(tag.description), operationsOf(tag.name).map(operationCard))),
    problemSection(), schemaSection());
  navigation(api.tags);
  followScrolling();
  if (location.hash) goTo(location.hash);
}

async function load() {
  const answer = await fetch("openapi.json", { headers: keyOf() ? { Authorization: `Bearer ${keyOf()}` } : {} });
  if (answer.status === 401) throw new Error("This service asks for a key: type it in at the lower left.");
  if (!answer.ok) throw new Error(`openapi.json could not be read: ${answer.status}.`);
  api = await answer.json();
  show();
}

function start() {
  const key = document.getElementById("key");
  const said = (error) => document.getElementById("content").replaceChildren(h("p", { class: "state" }, error.message));
  key.value = sessionStorage.getItem("key") || "";
  key.addEventListener("change", () => {
    sessionStorage.setItem("key", key.value);
    load().catch(said);
  });
  document.getElementById("filter").addEventListener("input", filterNavigation);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/INPUT|TEXTAREA|SELECT/.test(event.target.tagName)) {
      event.preventDefault();
      document.getElementById("filter").focus();
    }
  });
  load().catch(said);
}

start();
