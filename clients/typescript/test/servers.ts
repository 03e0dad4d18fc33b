/** Servers that misbehave, and their answers. */

import { createServer, type AddressInfo, type Socket } from "node:net";

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

/** Answers each request with the same text, a byte at a time if there is a pause. undefined: it stays silent. */
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
            if (text === undefined) return;
            if (pause === 0) {
                if (/connection: close/i.test(text) || text.startsWith("220")) socket.end(text);
                else socket.write(text);
                return;
            }
            const bytes = Buffer.from(text);
            let at = 0;
            const timer = setInterval(() => (at < bytes.length ? socket.write(bytes.subarray(at, ++at)) : clearInterval(timer)), pause);
            timers.add(timer);
        });
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const close = () => {
        listener.close();
        timers.forEach((timer) => clearInterval(timer));
        sockets.forEach((socket) => socket.destroy());
    };
    const fake: FakeServer = { url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`, connections: 0, requests: [], close };
    return fake;
}

/** Where nobody listens. */
export const DEAD_URL = "http://127.0.0.1:1";
