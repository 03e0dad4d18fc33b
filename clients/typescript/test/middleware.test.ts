/** Express and Hono with the real server. */

import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, test } from "node:test";
import express from "express";
import { Hono } from "hono";
import { Client, type Undecided } from "patd-client";
import { startPatd } from "patd-client/dev";
import { tokens as expressTokens } from "patd-client/express";
import { tokens as honoTokens } from "patd-client/hono";
import { DEAD_URL, expired, fakeServer, SEED } from "./servers.js";

const patd = await startPatd({ seed: SEED });
const silent = await fakeServer(undefined);
const servers: Server[] = [];
after(async () => {
    silent.close();
    servers.forEach((server) => server.closeAllConnections());
    servers.forEach((server) => server.close());
    await patd.close();
});

type Get = (authorization?: string, address?: string) => Promise<Response>;
interface Options {
    acceptSessions?: boolean;
    onUndecided?: (error: Undecided) => void;
}

/** Applications with one route that needs `calls:read`. */
const APPLICATIONS: Record<string, (client: Client, options?: Options) => Promise<Get>> = {
    async Express(client, options) {
        const app = express().set("trust proxy", true);
        app.get("/calls", expressTokens(client, ["calls:read"], options), (request, response) => {
            response.json({ owner: request.verdict?.owner?.id });
        });
        const server = app.listen(0, "127.0.0.1");
        servers.push(server);
        await once(server, "listening");
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/calls`;
        return (authorization, address) => fetch(url, { headers: headers(authorization, address) });
    },
    async Hono(client, options) {
        const app = new Hono();
        const address = (context: { req: { header(name: string): string | undefined } }) => context.req.header("X-Forwarded-For");
        app.get("/calls", honoTokens(client, ["calls:read"], { ...options, address }), (context) => {
            return context.json({ owner: context.get("verdict").owner?.id });
        });
        return async (authorization, address) => app.request("/calls", { headers: headers(authorization, address) });
    },
};

function headers(authorization?: string, address = "192.0.2.7"): Record<string, string> {
    return { "X-Forwarded-For": address, ...(authorization === undefined ? {} : { Authorization: authorization }) };
}

for (const [name, application] of Object.entries(APPLICATIONS)) {
    describe(name, async () => {
        const client = new Client({ url: patd.url, token: patd.introspectToken });
        const get = await application(client);

        test("lets a valid token pass", async () => {
            const token = await patd.createToken(["calls:read"]);
            for (const scheme of ["Bearer ", "bearer  "]) {
                const response = await get(scheme + token.secret);
                assert.equal(response.status, 200);
                assert.deepEqual(await response.json(), { owner: (await patd.api("GET", "/api/user")).id });
            }
        });

        test("answers 401 without an error if there is no token", async () => {
            for (const authorization of [undefined, "", "Bearer", "Bearer ", "Basic dTpw", "pat_x"]) {
                const response = await get(authorization);
                assert.deepEqual([response.status, response.headers.get("WWW-Authenticate")], [401, "Bearer"]);
            }
        });

        test("answers 401 to a token that is not accepted, and does not say why", async () => {
            const revoked = await patd.createToken(["calls:read"]);
            await patd.revokeToken(revoked);
            const elsewhere = await patd.createToken(["calls:read"], { ip_allowlist: ["198.51.100.7"] });
            for (const token of [revoked.secret, elsewhere.secret, await expired(patd), "x"]) {
                const response = await get(`Bearer ${token}`);
                assert.deepEqual([response.status, response.headers.get("WWW-Authenticate")], [401, 'Bearer error="invalid_token"']);
                assert.deepEqual(await response.json(), { message: "The token is not accepted.", code: "unauthenticated" });
            }
        });

        test("sends the address of the client", async () => {
            const token = await patd.createToken(["calls:read"], { ip_allowlist: ["192.0.2.7", "fe80::1"] });
            const statuses = [];
            for (const address of ["192.0.2.7", "::ffff:192.0.2.7", "fe80::1%eth0", "192.0.2.8", "a socket"]) {
                statuses.push((await get(`Bearer ${token.secret}`, address)).status);
            }
            assert.deepEqual(statuses, [200, 200, 200, 401, 401]);
        });

        test("answers 403 if an ability is missing", async () => {
            const token = await patd.createToken(["calls:write"]);
            const response = await get(`Bearer ${token.secret}`);
            assert.equal(response.status, 403);
            assert.equal(response.headers.get("WWW-Authenticate"), 'Bearer error="insufficient_scope", scope="calls:read"');
            const { code, required } = (await response.json()) as Record<string, unknown>;
            assert.deepEqual([code, required], ["missing_ability", ["calls:read"]]);
        });

        test("lets a session pass only where it is accepted", async () => {
            const response = await get(`Bearer ${patd.sessionToken}`);
            assert.deepEqual([response.status, ((await response.json()) as Record<string, unknown>).code], [403, "wrong_kind"]);
            const accepting = await application(client, { acceptSessions: true });
            assert.equal((await accepting(`Bearer ${patd.sessionToken}`)).status, 200);
        });

        test("answers 429 if a limit is reached", async () => {
            for (const [limit, code] of [["requests_per_minute", "too_many_attempts"], ["quota", "quota_exceeded"]] as const) {
                const token = await patd.createToken(["calls:read"], { [limit]: 1 });
                assert.equal((await get(`Bearer ${token.secret}`)).status, 200);
                const response = await get(`Bearer ${token.secret}`);
                assert.deepEqual([response.status, ((await response.json()) as Record<string, unknown>).code], [429, code]);
            }
        });

        test("answers 503 if it cannot know", async () => {
            const token = await patd.createToken(["calls:read"]);
            for (const url of [DEAD_URL, silent.url, patd.url]) {
                const reasons: string[] = [];
                const client = new Client({ url, token: "own", timeout: 500 });
                const get = await application(client, { onUndecided: (error) => reasons.push(error.message) });
                const response = await get(`Bearer ${token.secret}`);
                assert.equal(response.status, 503);
                assert.deepEqual([response.headers.get("Retry-After"), response.headers.get("WWW-Authenticate")], ["1", null]);
                assert.equal(((await response.json()) as Record<string, unknown>).code, "undecided");
                assert.equal(reasons.length, 1);
            }
        });
    });
}
