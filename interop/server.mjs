// Starts bin/reckoner dev on free ports in a fresh folder, and stops it again.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

const addresses = { "HTTP API": "api", "operators' port": "ops", "embedded ClickHouse": "clickhouse" };
const startTimeout = 300_000; // the first start may have to fetch the embedded engine

/** Starts a server. flags are added to those that choose ports and folder. */
export async function start(...flags) {
  const folder = await mkdtemp(path.join(tmpdir(), "reckoner-interop-"));
  const any = "127.0.0.1:0";
  const child = spawn(
    path.join(root, "bin", "reckoner"),
    ["dev", "--data-dir", path.join(folder, "data"), "--listen", any, "--ops-listen", any, "--kafka-listen", any,
      "--clickhouse-listen", any, ...flags],
    { cwd: folder, env: { ...process.env, RECKONER_LOG_FORMAT: "json" }, stdio: ["ignore", "ignore", "pipe"] },
  );
  const log = [];
  const server = { log, sql: (query) => sql(server.clickhouse, query), stop: () => stop(child, folder) };
  const ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("not ready in time")), startTimeout);
    child.on("error", reject);
    child.on("exit", (code, signal) => reject(new Error(`ended with ${code ?? signal}`)));
    readline.createInterface({ input: child.stderr }).on("line", (line) => {
      log.push(line);
      const said = parse(line);
      if (addresses[said.msg]) server[addresses[said.msg]] = said.url;
      if (said.msg === "ready") {
        clearTimeout(timer);
        resolve();
      }
    });
  });
  try {
    await ready;
    await eventually("/readyz", async () => (await fetch(`${server.ops}/readyz`)).ok);
  } catch (err) {
    await server.stop();
    throw new Error(`${err.message}\n${log.join("\n")}`);
  }
  return server;
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return {}; // progress of a fetch, for people
  }
}

async function stop(child, folder) {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.on("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
  await rm(folder, { recursive: true, force: true });
  if (child.exitCode !== 0) throw new Error(`SIGTERM ended it with ${child.exitCode ?? child.signalCode}, want 0`);
}

/** Asks ClickHouse and returns the rows, each a list of texts: nothing passes through a float. */
async function sql(url, query) {
  const answer = await fetch(`${url}/?default_format=TabSeparated`, { method: "POST", body: query });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status}: ${text}`);
  return text.split("\n").slice(0, -1).map((row) => row.split("\t"));
}

/** Waits until check is true. */
export async function eventually(what, check, timeout = 20_000) {
  for (const deadline = Date.now() + timeout; ;) {
    if (await check()) return;
    if (Date.now() > deadline) throw new Error(`${what}: not in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Basic credentials of the catalog's demo. */
export const basic = (id = "demo", secret = "demo-secret") => ({
  Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`,
});
