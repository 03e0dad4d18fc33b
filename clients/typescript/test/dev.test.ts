/** The helper for tests of applications. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { Client } from "patd-client";
import { startPatd } from "patd-client/dev";

async function ends(pid: number, database: string): Promise<boolean> {
    for (let time = 0; time < 200; time++) {
        if (!existsSync(`/proc/${pid}`) && !existsSync(database)) return true;
        await wait(50);
    }
    return false;
}

test("five servers at once know only their own tokens", async () => {
    const servers = await Promise.all(Array.from({ length: 5 }, () => startPatd()));
    const tokens = await Promise.all(servers.map((server) => server.createToken([])));
    for (const server of servers) {
        const client = new Client({ url: server.url, token: server.introspectToken });
        const verdicts = await Promise.all(tokens.map((token) => client.verify(token.secret)));
        assert.deepEqual(verdicts.map(({ code }) => code).sort(), ["unknown", "unknown", "unknown", "unknown", "valid"]);
    }
    await Promise.all(servers.map((server) => server.close()));
    for (const { pid, database } of servers) assert(await ends(pid, database));
});

test("a server that is disposed of has ended", async () => {
    let left;
    {
        await using server = await startPatd({ config: '[tokens]\nabilities = ["a"]' });
        await assert.rejects(server.createToken(["b"]), /422/);
        left = server;
    }
    assert(await ends(left.pid, left.database));
    await left.close();
});

for (const end of ["SIGKILL", "its own end"] as const) {
    test(`a server ends with the process: ${end}`, async () => {
        const after = end === "SIGKILL" ? "setInterval(() => {}, 1000);" : "";
        const program = `
            const { startPatd } = await import("patd-client/dev");
            const { pid, database } = await startPatd();
            console.log(JSON.stringify({ pid, database }));
            ${after}`;
        const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
        const [line] = await once(createInterface(child.stdout), "line");
        const { pid, database } = JSON.parse(line);
        if (end === "SIGKILL") {
            assert(existsSync(database));
            child.kill(end);
        }
        await once(child, "exit");
        assert(await ends(pid, database));
    });
}

test("a missing program is named", async () => {
    await assert.rejects(startPatd({ program: "/nowhere/patd" }), /\/nowhere\/patd is no program: install patd, or set PATD_BIN/);
});

test("a server that does not start says why", async () => {
    await assert.rejects(startPatd({ config: "misspelt = 1" }), /did not start: .*misspelt/s);
});
