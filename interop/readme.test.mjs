// Runs the README's commands, in its order, against a fresh server, and compares what they print with what it says.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { eventually, root, start } from "./server.mjs";

const run = promisify(execFile);
const fence = /```(\w*)\n([\s\S]*?)```\n/g;

let server;
before(async () => { server = await start(); });
after(() => server?.stop());

/** The README's commands that talk to a server, each with the output that follows it, if one does. */
async function commands() {
  const text = await readFile(path.join(root, "README.md"), "utf8");
  const blocks = [...text.matchAll(fence)].map(([, language, body]) => ({ language, body }));
  return blocks.flatMap(({ language, body }, i) => {
    if (language !== "sh" || !/^(curl|bin\/reckoner send) /.test(body)) return [];
    const next = blocks[i + 1];
    return [{ command: body, output: ["json", "text"].includes(next?.language) ? next.body : undefined }];
  });
}

test("the README's commands print what it says", async () => {
  const all = await commands();
  assert.ok(all.length >= 5, `only ${all.length} commands were found`);
  assert.ok(all.filter((c) => c.output !== undefined).length >= 4, "the outputs were not found");
  for (const { command, output } of all) {
    const here = command
      .replaceAll("http://127.0.0.1:7400", server.api)
      .replaceAll("http://127.0.0.1:8123", server.clickhouse)
      .replace("bin/reckoner send ", `bin/reckoner send --url ${server.api} `);
    const { stdout } = await run("sh", ["-euc", here], { cwd: root });
    if (output !== undefined) assert.equal(stdout.trimEnd(), output.trimEnd(), command);
  }
  // 459 accounts of the trace, and the demo's
  await eventually("the trace's totals", async () => (await server.sql("SELECT count() FROM reckoner.account_totals"))[0][0] === "460");
});

test("the README's two commands are targets of the Makefile, and the settings it names exist", async () => {
  const readme = await readFile(path.join(root, "README.md"), "utf8");
  const makefile = await readFile(path.join(root, "Makefile"), "utf8");
  for (const [, target] of readme.matchAll(/^make (\w+)/gm)) assert.match(makefile, new RegExp(`^${target}:`, "m"));
  const { stdout } = await run(path.join(root, "bin", "reckoner"), ["--help"]);
  for (const [, command] of readme.matchAll(/`reckoner (\w+)/g)) assert.match(stdout, new RegExp(`^  ${command} `, "m"));
});
