/** The examples of the README, as they are, and the package that it installs. The examples of tests run by themselves. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { startPatd } from "patd-client/dev";

const patd = await startPatd();
after(() => patd.close());
process.env["PATD_URL"] = patd.url;
process.env["PATD_INTROSPECT_TOKEN"] = patd.introspectToken;
const may = await patd.createToken(["calls:read"]);
const mayNot = await patd.createToken([]);
const owner = (await patd.api("GET", "/api/user")).id;

test("check a token", async (context) => {
    const log = context.mock.method(console, "log", () => undefined);
    const { mayReadCalls } = await import("./readme/check.js");
    const statuses = [];
    for (const token of [may.secret, mayNot.secret, "pat_x"]) statuses.push(await mayReadCalls(token, "192.0.2.7"));
    assert.deepEqual(statuses, [200, 403, 401]);
    assert.deepEqual(log.mock.calls.map((call) => call.arguments), [["used by", owner]]);
    assert.equal(await mayReadCalls(may.secret, "no address"), 503);
});

test("Express", async () => {
    const { app } = await import("./readme/express.js");
    const server: Server = app.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/calls`;
    const response = await fetch(url, { headers: { Authorization: `Bearer ${may.secret}` } });
    assert.deepEqual(await response.json(), { owner });
    assert.equal((await fetch(url)).status, 401);
    server.closeAllConnections();
    server.close();
});

test("Hono", async () => {
    const { app } = await import("./readme/hono.js");
    const response = await app.request("/calls", { headers: { Authorization: `Bearer ${may.secret}` } });
    assert.deepEqual(await response.json(), { owner });
    assert.equal((await app.request("/calls")).status, 401);
});

test("the package has what it exports", (context) => {
    const directory = mkdtempSync(join(tmpdir(), "patd-client-"));
    context.after(() => rmSync(directory, { recursive: true }));
    const installed = join(directory, "node_modules", "patd-client");
    mkdirSync(installed, { recursive: true });
    const description = JSON.parse(readFileSync("package.json", "utf8"));
    const { version, exports } = description as { version: string; exports: Record<string, { types: string }> };
    // `npm pack` has written it before the tests.
    execFileSync("tar", ["-xzf", `build/patd-client-${version}.tgz`, "--strip-components=1", "-C", installed]);
    assert.equal(Object.keys(exports).length, 4);
    for (const [path, { types }] of Object.entries(exports)) {
        const name = join("patd-client", path);
        execFileSync(process.execPath, ["--input-type=module", "-e", `await import("${name}")`], { cwd: directory });
        assert.match(readFileSync(join(installed, types), "utf8"), /export/);
    }
});
