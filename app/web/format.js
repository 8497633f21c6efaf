/** Numbers and times as people read them. */

import { h } from "./dom.js";

const whole = new Intl.NumberFormat("en");
const NONE = "–";
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** 12,345 */
export function count(value) {
  return value === null || value === undefined ? NONE : whole.format(value);
}

/** "1 job", "2 jobs" */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A score or any other measured value, in about four digits: 0.9317, 2.00e-5, 1,234 */
export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  if (value === 0 || Number.isInteger(value)) return whole.format(value);
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e7) return value.toExponential(2);
  return size >= 1000 ? whole.format(Math.round(value)) : String(Number(value.toPrecision(digits)));
}

/** 0 to 1 as scores are told, always as many digits: 0.900 */
export function score(value) {
  return value === null || value === undefined ? NONE : value.toFixed(3);
}

/** 0.42 -> "42 %" */
export function percent(value, digits = 0) {
  return value === null || value === undefined ? NONE : `${(100 * value).toFixed(digits)} %`;
}

/** 1536 -> "1.5 kB" */
export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${number(value / 1000 ** power, 3)} ${units[power]}`;
}

/** Seconds in the two units that matter: "8.2 s", "3 min 20 s", "1 h 12 min", "2 d 3 h" */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  if (total < 86400) return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
  return `${Math.floor(total / 86400)} d ${Math.floor((total % 86400) / 3600)} h`;
}

export function secondsBetween(start, end) {
  return start ? ((end ? Date.parse(end) : Date.now()) - Date.parse(start)) / 1000 : null;
}

/** "just now", "5 min ago", "3 h ago", "yesterday", "12 Mar" */
export function ago(text, now = Date.now()) {
  const seconds = (now - Date.parse(text)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  if (seconds < 7 * 86400) return counted(Math.round(seconds / 86400), "day") + " ago";
  const date = new Date(text);
  const year = date.getFullYear() === new Date(now).getFullYear() ? {} : { year: "numeric" };
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...year });
}

/** A point in time as an element: how long ago, and the exact moment on hover. */
export function time(text) {
  return text ? h("time", { datetime: text, title: moment.format(new Date(text)) }, ago(text)) : NONE;
}

/** The time of day, for logs and timelines. */
export function clock(text) {
  return new Date(text).toLocaleTimeString("en-GB");
}

/** Any JSON value in one line. */
export function inline(value) {
  if (value === null || value === undefined) return NONE;
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.length ? value.map(inline).join(", ") : "none";
  if (typeof value === "object") return Object.entries(value).map(([name, each]) => `${name}: ${inline(each)}`).join(", ") || "none";
  return String(value);
}
