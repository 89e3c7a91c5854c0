// Lints the API's description with Redocly's recommended rules, whose warnings count as errors here.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { root } from "./server.mjs";

const file = path.join(root, "internal", "openapi", "openapi.json");

// Four operations have no error that is a caller's: those of the operators' port, and the one that gets the description.
// Whether an example has fields that its schema does not name is judged in openapitest.
const examples = { severity: "error", allowAdditionalProperties: true };
const rules = {
  "operation-4xx-response": "off", "no-unused-components": "error", "no-invalid-schema-examples": examples,
  "no-invalid-media-type-examples": examples,
};

async function lint(source) {
  const config = await createConfig({ extends: ["recommended"], rules });
  const problems = await lintFromString({ source, absoluteRef: file, config });
  return problems.map((p) => `${p.ruleId} ${p.location[0].pointer}: ${p.message}`);
}

test("the description breaks no rule", async () => {
  assert.deepEqual(await lint(await readFile(file, "utf8")), []);
});

test("what is wrong is found", async () => {
  const changed = async (change) => {
    const document = JSON.parse(await readFile(file, "utf8"));
    change(document);
    return (await lint(JSON.stringify(document))).join("\n");
  };
  const of = (d) => d.paths["/usages"].post;
  assert.match(await changed((d) => (of(d).operationId = "getUsage")), /operation-operationId-unique/);
  assert.match(await changed((d) => delete of(d).summary), /operation-summary/);
  assert.match(await changed((d) => (of(d).security = [{ nobody: [] }])), /security-defined/);
  assert.match(await changed((d) => (of(d).responses["201"].content["application/json"].example.quantity = "1")), /no-invalid-media-type-examples/);
  assert.match(await changed((d) => (d.components.schemas.Alone = { type: "string" })), /no-unused-components/);
});
