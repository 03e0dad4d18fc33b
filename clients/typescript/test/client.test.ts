/** The client against the real server and against servers that misbehave. */

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { inspect } from "node:util";
import { Cache, Client, Undecided } from "patd-client";
import { startPatd } from "patd-client/dev";
import { answer, DEAD_URL, expired, type FakeServer, fakeServer, MISBEHAVING, SEED, TOKEN, verdict } from "./servers.js";

/** No token of this client may show up anywhere. */
const OWN = "pat_ownsecretownsecretownsecretownsecret12345678";

const patd = await startPatd({ seed: SEED });
const client = new Client({ url: patd.url, token: patd.introspectToken });
const fakes: FakeServer[] = [];
after(async () => {
    fakes.forEach((fake) => fake.close());
    await patd.close();
});

async function fake(...options: Parameters<typeof fakeServer>): Promise<FakeServer> {
    const server = await fakeServer(...options);
    fakes.push(server);
    return server;
}

const codes = async (client: Client, token: string, times: number) => {
    const codes = [];
    for (let time = 0; time < times; time++) codes.push((await client.verify(token)).code);
    return codes;
};

describe("with the real server", () => {
    test("a valid token is accepted", async () => {
        const token = await patd.createToken(["calls:read"], { name: "deploy", metadata: { team: "payments" } });
        const verdict = await client.verify(token.secret, ["calls:read"]);
        assert(verdict.valid);
        assert.equal(verdict.token.id, token.id);
        assert.deepEqual(verdict.token.metadata, { team: "payments" });
        assert.deepEqual([verdict.owner?.type, verdict.owner?.email], ["user", "demo@example.com"]);
    });

    test("a token is refused as soon as it is revoked", async () => {
        const token = await patd.createToken(["calls:read"]);
        assert.deepEqual(await codes(client, token.secret, 1), ["valid"]);
        await patd.revokeToken(token);
        assert.deepEqual(await codes(client, token.secret, 1), ["revoked"]);
    });

    test("an expired token is refused", async () => {
        assert.deepEqual(await codes(client, await expired(patd), 1), ["expired"]);
    });

    test("a missing ability is named", async () => {
        const token = await patd.createToken(["calls:read"]);
        assert.deepEqual(await client.verify(token.secret, ["calls:read", "calls:write"]), {
            valid: false,
            code: "missing_ability",
            required: ["calls:read", "calls:write"],
            missing: ["calls:write"],
        });
    });

    test("what is no token is refused", async () => {
        for (const token of ["", "x", "pat_unknown", "pät_☃\0"]) assert.deepEqual(await codes(client, token, 1), ["malformed"]);
    });

    test("the address decides about a token that allows some", async () => {
        const token = await patd.createToken([], { ip_allowlist: ["192.0.2.0/24"] });
        assert((await client.verify(token.secret, [], "192.0.2.7")).valid);
        assert.equal((await client.verify(token.secret, [], "198.51.100.7")).code, "ip_not_allowed");
        assert.equal((await client.verify(token.secret)).code, "ip_not_allowed");
    });

    test("limits are refusals", async () => {
        const limited = await patd.createToken([], { requests_per_minute: 1 });
        assert.deepEqual(await codes(client, limited.secret, 2), ["valid", "rate_limited"]);
        const counted = await patd.createToken([], { quota: 1 });
        assert.deepEqual(await codes(client, counted.secret, 2), ["valid", "quota_exceeded"]);
    });

    test("a credential of the client that is refused says nothing about the token", async () => {
        const token = await patd.createToken(["*"]);
        await assert.rejects(new Client({ url: patd.url, token: OWN }).verify(token.secret), /Undecided: .*\(401\)/);
        await assert.rejects(new Client({ url: patd.url, token: token.secret }).verify(token.secret), /Undecided: .*\(403\)/);
    });
});

describe("cannot know", () => {
    for (const [kind, text] of Object.entries(MISBEHAVING)) {
        test(`if the answer is ${kind}`, async () => {
            const server = await fake(text);
            await assert.rejects(new Client({ url: server.url, token: OWN }).verify("pat_x"), Undecided);
            assert.equal(server.requests.length, 1);
        });
    }

    test("if the server redirects, and the credential goes to no other place", async () => {
        const elsewhere = await fake(answer("200 OK", verdict()));
        for (const status of ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]) {
            const server = await fake(answer(status, "", `Location: ${elsewhere.url}/api/v1/tokens/verify`));
            await assert.rejects(new Client({ url: server.url, token: OWN }).verify("pat_x"), new RegExp(`patd answered ${status.slice(0, 3)}`));
        }
        assert.equal(elsewhere.connections, 0);
    });

    test("if the server is down", async () => {
        await assert.rejects(new Client({ url: DEAD_URL, token: OWN }).verify("pat_x"), Undecided);
    });

    test("if the server is silent", async () => {
        const { url } = await fake(undefined);
        await assert.rejects(new Client({ url, token: OWN, timeout: 200 }).verify("pat_x"), /Undecided: no answer from patd: TimeoutError/);
    });

    test("if the server sends a byte at a time", async () => {
        // The whole answer would be a verdict, after 15 seconds.
        const { url } = await fake(answer("200 OK", verdict()), 50);
        await assert.rejects(new Client({ url, token: OWN, timeout: 500 }).verify("pat_x"), /Undecided: no answer/);
    });
});

test("the time-out is the documented one", async (context) => {
    const timeout = context.mock.method(AbortSignal, "timeout");
    for (const options of [{}, { timeout: 700 }]) {
        await assert.rejects(new Client({ url: DEAD_URL, token: OWN, ...options }).verify("pat_x"), Undecided);
    }
    assert.deepEqual(timeout.mock.calls.map((call) => call.arguments), [[2000], [700]]);
});

test("a connection is used again", async () => {
    const server = await fake(answer("200 OK", verdict()));
    const client = new Client({ url: `${server.url}/patd/`, token: OWN });
    assert.deepEqual(await codes(client, "pat_x", 20), Array(20).fill("valid"));
    assert.equal(server.requests.length, 20);
    // fetch may open a second one while it releases the first.
    assert(server.connections <= 2, `${server.connections} connections`);
    assert.match(server.requests[0]!, /^POST \/patd\/api\/v1\/tokens\/verify HTTP/);
});

test("nothing shows the credential of the client", async () => {
    const client = new Client({ url: DEAD_URL, token: OWN });
    const error: Error = await client.verify("pat_presented").then(() => assert.fail(), (error) => error);
    const shown = [inspect(client, { depth: 9, showHidden: true }), JSON.stringify(client), inspect(error, { depth: 9 }), error.stack];
    for (const token of ["", `${OWN}\n`, `${OWN} x`, `${OWN}☃`]) {
        try {
            new Client({ url: DEAD_URL, token });
        } catch (error) {
            shown.push(inspect(error));
        }
    }
    assert.equal(shown.length, 8);
    assert.doesNotMatch(shown.join("\n"), /ownsecret|pat_presented/);
});

test("a URL that is none is refused", () => {
    for (const url of ["", "patd.example.com", "ftp://h", "http://", "http://user@h", "http://:secret@h", "http://h?x=1", "http://h#x"]) {
        assert.throws(() => new Client({ url, token: OWN }), TypeError, url);
    }
});

describe("the cache", () => {
    test("is off by default", async () => {
        const server = await fake(answer("200 OK", verdict()));
        await codes(new Client({ url: server.url, token: OWN }), "pat_x", 2);
        assert.equal(server.requests.length, 2);
    });

    test("accepts a revoked token until its age", async (context) => {
        const cache = new Cache({ maxAge: 5000 });
        const client = new Client({ url: patd.url, token: patd.introspectToken, cache });
        const token = await patd.createToken(["calls:read"]);
        assert((await client.verify(token.secret, ["calls:read"])).valid);
        await patd.revokeToken(token);
        const now = performance.now();
        const clock = context.mock.method(performance, "now", () => now);
        assert((await client.verify(token.secret, ["calls:read"])).valid, "this is what the cache costs");
        assert.equal((await client.verify(token.secret)).code, "revoked", "another question is not in the cache");
        assert.equal((await client.verify(token.secret, ["calls:read"], "::1")).code, "revoked");
        assert.equal(cache.size, 1);
        clock.mock.mockImplementation(() => now + 5000);
        assert.equal((await client.verify(token.secret, ["calls:read"])).code, "revoked");
        assert.equal(cache.size, 0);
    });

    test("keeps neither refusals nor failures nor secrets nor too much", async () => {
        const cache = new Cache({ maxAge: 3_600_000, maxEntries: 2 });
        const refusing = await fake(answer("200 OK", '{"data":{"valid":false,"code":"revoked"}}'));
        await codes(new Client({ url: refusing.url, token: OWN, cache }), "pat_x", 2);
        const failing = new Client({ url: (await fake(MISBEHAVING["500"])).url, token: OWN, cache });
        await assert.rejects(failing.verify("pat_x"), Undecided);
        assert.deepEqual([refusing.requests.length, cache.size], [2, 0]);
        const accepting = await fake(answer("200 OK", verdict()));
        const client = new Client({ url: accepting.url, token: OWN, cache });
        for (const token of ["pat_a", "pat_b", "pat_c", "pat_c", "pat_b"]) await client.verify(token, ["b", "a"]);
        await client.verify("pat_c", ["a", "b"]);
        assert.deepEqual([accepting.requests.length, cache.size], [3, 2]);
        assert.doesNotMatch(inspect(cache, { depth: 9, showHidden: true }), /pat_/);
    });

    test("stops at the expiry of a token", async (context) => {
        const expires_at = `${new Date(Date.now() + 600_000).toISOString().slice(0, 19)}Z`;
        const server = await fake(answer("200 OK", verdict({ token: { ...TOKEN, expires_at } })));
        const client = new Client({ url: server.url, token: OWN, cache: new Cache({ maxAge: 3_600_000 }) });
        const now = performance.now();
        const clock = context.mock.method(performance, "now", () => now);
        for (const [later, requests] of [[0, 1], [500_000, 1], [600_000, 2]] as const) {
            clock.mock.mockImplementation(() => now + later);
            assert.deepEqual([await codes(client, "pat_x", 1), server.requests.length], [["valid"], requests]);
        }
    });

    test("does not keep an expired token", async () => {
        for (const expires_at of ["2020-01-01T00:00:00Z", "soon"]) {
            const server = await fake(answer("200 OK", verdict({ token: { ...TOKEN, expires_at } })));
            const cache = new Cache({ maxAge: 3_600_000 });
            const client = new Client({ url: server.url, token: OWN, cache });
            assert.deepEqual(await codes(client, "pat_x", 2), ["valid", "valid"]);
            assert.deepEqual([server.requests.length, cache.size], [2, 0]);
        }
    });

    test("needs limits", () => {
        for (const options of [{ maxAge: 0 }, { maxAge: -1 }, { maxAge: NaN }, { maxAge: 1, maxEntries: 0 }]) {
            assert.throws(() => new Cache(options), RangeError);
        }
    });
});
