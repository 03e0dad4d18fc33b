/** A throwaway server for integration tests: `patd dev` as a process of its own. */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const START_TIMEOUT = 20_000;
const STOP_TIMEOUT = 10_000;

/** How much of the messages of a failed start an error shows. A seed with many mistakes has as many lines. */
const MAX_MESSAGES = 64 * 1024;

type Process = ChildProcessByStdio<Writable, Readable, Readable>;

/** What `patd dev --json` prints. */
interface Demo {
    url: string;
    session_token: string;
    introspect_token: string;
    database: string;
    seeded?: {
        users: Record<string, { id: string; email: string; password: string; default_environment_id: string }>;
        service_accounts: Record<string, { id: string }>;
        environments: Record<string, { id: string }>;
        tokens: Record<string, { id: string; token: string }>;
    };
}

export interface DevServerOptions {
    /** The program. The default is `PATD_BIN` of the environment, or `patd` in PATH. */
    program?: string;
    /** The text of a configuration file (TOML). */
    config?: string;
    /** What the server starts with (`patd dev --seed`): the URL of a file, or its text. */
    seed?: string | URL;
}

/** A token for a test. */
export interface CreatedToken {
    id: string;
    secret: string;
}

/** What the seed asked for, by name. Ids are the same in each run, secrets are not. */
export interface Seeded {
    users: Record<string, { id: string; email: string; password: string; defaultEnvironmentId: string }>;
    serviceAccounts: Record<string, { id: string }>;
    environments: Record<string, { id: string }>;
    tokens: Record<string, CreatedToken>;
}

/** Starts a server. Any number may run at once. */
export async function startPatd(options: DevServerOptions = {}): Promise<DevServer> {
    const program = options.program ?? process.env["PATD_BIN"] ?? "patd";
    const directory = await mkdtemp(join(tmpdir(), "patd-test-"));
    try {
        const write = async (name: string, text: string) => {
            const file = join(directory, name);
            await writeFile(file, text);
            return file;
        };
        const { config, seed } = options;
        const parameters = ["dev", "--json", "--port", "0"];
        if (config !== undefined) parameters.push("--config", await write("patd.toml", config));
        if (seed !== undefined) {
            parameters.push("--seed", seed instanceof URL ? fileURLToPath(seed) : await write("seed.toml", seed));
        }
        return await start(program, parameters, directory);
    } catch (error) {
        await rm(directory, { recursive: true, force: true });
        throw error;
    }
}

async function start(program: string, parameters: string[], directory: string): Promise<DevServer> {
    // Settings of another patd must not change what a test sees.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PATD_")));
    // The server ends when its standard input closes, so also when this process is killed.
    const server: Process = spawn(program, parameters, { env, stdio: ["pipe", "pipe", "pipe"] });
    let errors = "";
    server.stderr.on("data", (data: Buffer) => (errors = (errors + data.toString()).slice(-MAX_MESSAGES)));
    server.stdin.on("error", () => undefined);
    const failed = once(server, "error").catch((error: unknown) => [error]);
    const started = await new Promise<string>((resolve, reject) => {
        const timer = setTimeout(() => server.kill("SIGKILL"), START_TIMEOUT);
        void failed.then(() => {
            clearTimeout(timer);
            reject(new Error(`${program} is no program: install patd, or set PATD_BIN to the path of its binary`));
        });
        createInterface(server.stdout).once("line", (line) => {
            clearTimeout(timer);
            resolve(line);
        });
        server.once("close", () => {
            clearTimeout(timer);
            reject(new Error(`${program} dev did not start: ${errors.trim()}`));
        });
    });
    return new DevServer(server, JSON.parse(started) as Demo, directory);
}

function seeded(lists: Demo["seeded"]): Seeded {
    const map = <T, U>(list: Record<string, T> | undefined, to: (item: T) => U): Record<string, U> =>
        Object.fromEntries(Object.entries(list ?? {}).map(([name, item]) => [name, to(item)]));
    return {
        users: map(lists?.users, ({ id, email, password, default_environment_id }) => {
            return { id, email, password, defaultEnvironmentId: default_environment_id };
        }),
        serviceAccounts: lists?.service_accounts ?? {},
        environments: lists?.environments ?? {},
        tokens: map(lists?.tokens, ({ id, token }) => ({ id, secret: token })),
    };
}

/** A running server. It also ends when this process ends, however that happens. */
export class DevServer {
    /** Where the server listens. */
    readonly url: string;
    /** The credential for a client that checks tokens. */
    readonly introspectToken: string;
    /** The session of the demo user, an administrator. It may call the whole API. */
    readonly sessionToken: string;
    /** What the seed asked for. */
    readonly seeded: Seeded;
    /** The file of the database. */
    readonly database: string;
    /** The id of the process. */
    readonly pid: number;
    readonly #process: Process;
    readonly #directory: string;

    /** Use `startPatd`. */
    constructor(server: Process, demo: Demo, directory: string) {
        this.url = demo.url;
        this.introspectToken = demo.introspect_token;
        this.sessionToken = demo.session_token;
        this.seeded = seeded(demo.seeded);
        this.database = demo.database;
        this.pid = server.pid!;
        this.#process = server;
        this.#directory = directory;
        // A test run may end although the server was not closed.
        server.unref();
        for (const stream of [server.stdin, server.stdout, server.stderr]) (stream as unknown as { unref(): void }).unref();
    }

    /** Sends a request with the session of the demo user, and returns the JSON of the answer. */
    async api(method: string, path: string, body?: unknown): Promise<any> {
        const response = await fetch(this.url + path, {
            method,
            headers: { Authorization: `Bearer ${this.sessionToken}`, "Content-Type": "application/json" },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
        return response.json();
    }

    /** Makes a token of the demo user. `fields` are those of a new token in docs/api.md, such as `ip_allowlist`. */
    async createToken(abilities: readonly string[], fields: Record<string, unknown> = {}): Promise<CreatedToken> {
        const { data } = await this.api("POST", "/api/v1/user/api-tokens", { name: "test", abilities, ...fields });
        return { id: data.id, secret: data.token.split("|").at(-1) };
    }

    /** Revokes a token. The next check refuses it. */
    async revokeToken(token: CreatedToken): Promise<void> {
        await this.api("DELETE", `/api/v1/admin/tokens/${token.id}`);
    }

    /** Stops the server. Its data is deleted. */
    async close(): Promise<void> {
        const server = this.#process;
        if (server.exitCode === null && server.signalCode === null) {
            const ended = once(server, "exit");
            server.ref();
            server.stdin.end();
            const timer = new AbortController();
            const late = wait(STOP_TIMEOUT, undefined, { signal: timer.signal }).then(() => server.kill("SIGKILL"), () => undefined);
            await ended;
            timer.abort();
            await late;
        }
        await rm(this.#directory, { recursive: true, force: true });
    }

    /** For `await using`. */
    async [Symbol.asyncDispose](): Promise<void> {
        await this.close();
    }
}
