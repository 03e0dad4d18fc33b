/** Servers that misbehave, and their answers. */

import { createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { Client } from "patd-client";
import type { DevServer } from "patd-client/dev";

export const SEED = `
[[users]]
name = "Ada"
email = "ada@example.com"
password = "an engine of 1000 wheels"

[[service_accounts]]
name = "Nightly build"
managers = ["Ada"]

[[environments]]
name = "Staging"
owner = "Nightly build"

[[tokens]]
name = "Reader"
owner = "Ada"
abilities = ["calls:read"]

[[tokens]]
name = "Deployment"
environment = "Staging"

[[tokens]]
name = "Brief"
owner = "Ada"
abilities = ["calls:read"]
expires_in = "1s"
`;

/** A token of a server with the seed above that has expired. */
export async function expired(server: DevServer): Promise<string> {
    const { secret } = server.seeded.tokens["Brief"]!;
    const client = new Client({ url: server.url, token: server.introspectToken });
    for (let time = 0; time < 200 && (await client.verify(secret)).valid; time++) await wait(50);
    return secret;
}

export function answer(status: string, body: string, ...headers: string[]): string {
    return [`HTTP/1.1 ${status}`, `Content-Length: ${Buffer.byteLength(body)}`, ...headers, "", body].join("\r\n");
}

export const TOKEN = { id: "1", type: "personal_access_token", name: "x", abilities: ["*"], created_at: "", expires_at: null };
const OWNER = { id: "2", type: "user", name: "Ada", email: "ada@example.com" };

/** The body of a verdict that accepts, with other fields. */
export function verdict(fields: object = {}): string {
    return JSON.stringify({ data: { valid: true, code: "valid", token: TOKEN, owner: OWNER, ...fields } });
}

/** None of these is a verdict. */
export const MISBEHAVING: Record<string, string> = {
    "500": answer("500 Internal Server Error", '{"code":"server_error"}'),
    "503": answer("503 Service Unavailable", '{"code":"draining"}', "Retry-After: 1"),
    "429 of the client's own token": answer("429 Too Many Requests", '{"code":"too_many_attempts"}'),
    "401 of the client's own token": answer("401 Unauthorized", '{"code":"unauthenticated"}'),
    "403 of the client's own token": answer("403 Forbidden", '{"code":"missing_ability"}'),
    "422": answer("422 Unprocessable Content", '{"code":"validation_failed"}'),
    "a status that says nothing, with a verdict": answer("203 Non-Authoritative", verdict()),
    "a redirect": answer("302 Found", "", "Location: /elsewhere"),
    "HTML": answer("200 OK", "<html>Welcome to nginx</html>"),
    "an empty body": answer("200 OK", ""),
    "truncated JSON": answer("200 OK", verdict().slice(0, -9)),
    "a body that ends early": answer("200 OK", verdict() + "        ", "Connection: close").slice(0, -4),
    "null": answer("200 OK", "null"),
    "no verdict": answer("200 OK", '{"data":{}}'),
    "a text as verdict": answer("200 OK", verdict({ valid: "true" })),
    "a contradiction": answer("200 OK", verdict({ code: "revoked" })),
    "another contradiction": answer("200 OK", verdict({ valid: false })),
    "accepted without a token": answer("200 OK", verdict({ token: null })),
    "abilities that are a text": answer("200 OK", verdict({ token: { ...TOKEN, abilities: "*" } })),
    "too much": answer("200 OK", " ".repeat(2_000_000) + verdict()),
    "no HTTP": "220 mail.example.com ESMTP\r\n".repeat(9),
};

export interface FakeServer {
    url: string;
    connections: number;
    requests: string[];
    close(): void;
}

/**
 * Answers each request with the same text, the body byte by byte if there is a pause. undefined: it stays silent. It closes
 * the connection at last, so that a client without a time-out fails instead of hanging.
 */
export async function fakeServer(text: string | undefined, pause = 0): Promise<FakeServer> {
    const sockets = new Set<Socket>();
    const timers = new Set<NodeJS.Timeout>();
    const listener = createServer((socket) => {
        fake.connections += 1;
        sockets.add(socket);
        socket.on("error", () => undefined);
        let data = "";
        socket.on("data", (chunk) => {
            data += chunk.toString("latin1");
            const [head, body] = data.split("\r\n\r\n");
            const length = Number(/content-length: (\d+)/i.exec(head!)?.[1]);
            if (body === undefined || body.length < length) return;
            fake.requests.push(data);
            data = "";
            if (text === undefined) {
                timers.add(setTimeout(() => socket.destroy(), 10_000));
                return;
            }
            if (pause === 0) {
                if (/connection: close/i.test(text) || text.startsWith("220")) socket.end(text);
                else socket.write(text);
                return;
            }
            const bytes = Buffer.from(text);
            let at = bytes.indexOf("\r\n\r\n") + 4;
            socket.write(bytes.subarray(0, at));
            const timer = setInterval(() => (at < bytes.length ? socket.write(bytes.subarray(at, ++at)) : clearInterval(timer)), pause);
            timers.add(timer);
        });
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const close = () => {
        listener.close();
        timers.forEach((timer) => clearTimeout(timer));
        sockets.forEach((socket) => socket.destroy());
    };
    const fake: FakeServer = { url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`, connections: 0, requests: [], close };
    return fake;
}

/** Where nobody listens. */
export const DEAD_URL = "http://127.0.0.1:1";
