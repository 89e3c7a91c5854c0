// The payloads of a hundred installations, and their times in other forms.
import { readFile } from "node:fs/promises";

// Written by `go test ./ledger/report -update`, and held there against the rules that no schema has.
export const lines = (await readFile(new URL("testdata/payloads.jsonl", import.meta.url), "utf8")).trimEnd().split("\n");

const times = new Set(["timestamp", "eod", "start", "end"]);

/** Gives a payload's times another form. */
export function withTimes(value, form, key) {
  if (times.has(key)) return form(value);
  if (Array.isArray(value)) return value.map((v) => withTimes(v, form));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withTimes(v, form, k)]));
}

const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Reads a time, for what wants a Date. */
export const toDate = (text) => (isTime.test(text) ? new Date(text) : text);
