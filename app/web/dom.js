/** Elements out of values. Text is always text: nothing here, and nothing elsewhere, reads data as HTML. */

const SVG = "http://www.w3.org/2000/svg";
const AS_PROPERTY = new Set(["value", "checked", "disabled", "hidden", "selected", "indeterminate", "open", "required", "multiple", "readOnly"]);

/**
 * Make an element: h("a", { href, class: "x", onclick: f, style: { width: "3rem" } }, "text", child, [more]).
 * Children that are null, undefined or false are left out. A style is an object, because the page's policy forbids
 * style attributes.
 */
export function h(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same for elements of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(element, attributes, children) {
  element.append(...flat(children));  // first: a select takes its value only once it has options
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || (value === false && !AS_PROPERTY.has(name))) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [property, setting] of Object.entries(value)) element.style.setProperty(property, setting);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (AS_PROPERTY.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}

/** Put these children in the place of what an element holds, and give the element. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

let counted = 0;

/** An id that no other element has. */
export function freshId(prefix = "id") {
  counted += 1;
  return `${prefix}-${counted}`;
}

/** Say something to people who cannot see it; the text is read once. */
export function announce(text) {
  const place = document.getElementById("toasts");
  const said = h("p", { class: "unseen" }, text);
  place.append(said);
  setTimeout(() => said.remove(), 4000);
}
