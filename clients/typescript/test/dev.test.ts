/** The helper for tests of applications. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { Client } from "patd-client";
import { startPatd } from "patd-client/dev";
import { SEED } from "./servers.js";

const directory = await mkdtemp(join(tmpdir(), "patd-client-"));
after(() => rm(directory, { recursive: true }));

async function write(name: string, text: string): Promise<URL> {
    const file = join(directory, name);
    await writeFile(file, text);
    return pathToFileURL(file);
}

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

test("settings of the environment are left out", async (context) => {
    process.env["PATD_CONFIG"] = "/nowhere/patd.toml";
    context.after(() => delete process.env["PATD_CONFIG"]);
    await using server = await startPatd();
    assert((await server.createToken(["calls:read"])).secret.startsWith("pat_"));
});

test("what a seed asks for is there, and can be used and revoked", async () => {
    await using server = await startPatd({ seed: SEED });
    await using other = await startPatd({ seed: await write("seed.toml", SEED) });
    const { tokens, ...rest } = server.seeded;
    const { tokens: otherTokens, ...otherRest } = other.seeded;
    assert.deepEqual(rest, otherRest);
    const { users, serviceAccounts, environments } = rest;
    const names = [users, serviceAccounts, environments, tokens].map((items) => Object.keys(items));
    assert.deepEqual(names, [["Ada"], ["Nightly build"], ["Staging"], ["Brief", "Deployment", "Reader"]]);
    const { id, email, password, defaultEnvironmentId } = users["Ada"]!;
    const response = await fetch(`${server.url}/api/v1/auth/login`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ email, password }),
    });
    const { user } = ((await response.json()) as { data: { user: Record<string, unknown> } }).data;
    assert.deepEqual([user.id, user.current_environment_id], [id, defaultEnvironmentId]);
    const account = await server.api("GET", `/api/v1/service-accounts/${serviceAccounts["Nightly build"]!.id}`);
    assert.equal(account.data.name, "Nightly build");

    const client = new Client({ url: server.url, token: server.introspectToken });
    const reader = await client.verify(tokens["Reader"]!.secret);
    const deployment = await client.verify(tokens["Deployment"]!.secret);
    assert(reader.valid && deployment.valid);
    assert.deepEqual([reader.token.id, reader.owner?.id], [tokens["Reader"]!.id, id]);
    assert.equal(deployment.environment_id, environments["Staging"]!.id);
    for (const [name, token] of Object.entries(tokens)) {
        assert.equal(token.id, otherTokens[name]!.id);
        assert.notEqual(token.secret, otherTokens[name]!.secret);
        await server.revokeToken(token);
        assert.equal((await client.verify(token.secret)).code, "revoked");
    }
});

test("a server without a seed has nothing seeded", async () => {
    await using server = await startPatd();
    assert.deepEqual(server.seeded, { users: {}, serviceAccounts: {}, environments: {}, tokens: {} });
});

test("every mistake in a seed is named", async () => {
    const users = Array.from({ length: 50 }, (_, number) => `[[users]]\nname = "User ${number}"\n`);
    const seed = `${users.join("")}[[token]]\n`;
    for (const source of [seed, await write("mistakes.toml", seed)]) {
        const error: Error = await startPatd({ seed: source }).then(() => assert.fail(), (error) => error);
        assert.match(error.message, /dev did not start: /);
        for (const number of users.keys()) assert(error.message.includes(`users[${number}].email (`), error.message);
        assert.match(error.message, source instanceof URL ? /\/mistakes\.toml, line 101\) / : /\/seed\.toml, line 101\) /);
        assert.match(error.message, /perhaps tokens is meant/);
    }
    await assert.rejects(startPatd({ seed: new URL("file:///nowhere/seed.toml") }), /\/nowhere\/seed\.toml/);
});
