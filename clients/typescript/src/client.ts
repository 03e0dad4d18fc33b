/** The client. */

import { type Cache, cacheKey } from "./cache.js";
import { readVerdict, Undecided, type Verdict } from "./verdict.js";

export interface ClientOptions {
    /** Where patd is, such as `https://patd.example.com`. */
    url: string;
    /** The credential of the client itself: a token with the ability `tokens:introspect`. */
    token: string;
    /** How long a check may take in all, in milliseconds: 2,000 by default. */
    timeout?: number;
    /** Remembers accepted tokens. It is off by default; `Cache` says what it costs. */
    cache?: Cache;
}

/** The largest answer that is read, in bytes. A verdict has at most some tens of kilobytes. */
const MAX_ANSWER = 1024 * 1024;

/** Checks tokens. Share one client: `fetch` keeps its connections open. */
export class Client {
    readonly #url: string;
    readonly #token: string;
    readonly #timeout: number;
    readonly #cache: Cache | undefined;

    constructor({ url, token, timeout = 2000, cache }: ClientOptions) {
        const parts = URL.canParse(url) ? new URL(url) : undefined;
        if (!parts || !/^https?:$/.test(parts.protocol) || parts.username || parts.password || parts.search || parts.hash) {
            throw new TypeError("the URL must be like https://patd.example.com, without user, query and fragment");
        }
        // An error must not show the token.
        if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError("the token of this client is empty or has characters that no token has");
        if (!(timeout > 0)) throw new RangeError("the timeout must be positive");
        this.#url = `${parts.href.replace(/\/+$/, "")}/api/v1/tokens/verify`;
        this.#token = token;
        this.#timeout = timeout;
        this.#cache = cache;
    }

    /**
     * Asks whether `token` is valid and has all `abilities`. Throws `Undecided` if that cannot be known.
     *
     * `ip` is the address from which the token was sent. Without it, tokens with an `ip_allowlist` are refused.
     */
    async verify(token: string, abilities: readonly string[] = [], ip?: string): Promise<Verdict> {
        if (token === "") return { valid: false, code: "malformed" };
        const askedAt = performance.now();
        const key = this.#cache && (await cacheKey(token, abilities, ip));
        const cached = key === undefined ? undefined : this.#cache?.get(key);
        if (cached) return cached;
        const { status, body } = await this.#ask(JSON.stringify({ token, abilities, ip }));
        const verdict = readVerdict(status, body);
        if (key !== undefined) this.#cache?.put(key, verdict, askedAt);
        return verdict;
    }

    async #ask(question: string): Promise<{ status: number; body: string }> {
        try {
            const response = await fetch(this.#url, {
                method: "POST",
                headers: { Authorization: `Bearer ${this.#token}`, "Content-Type": "application/json", Accept: "application/json" },
                body: question,
                // The credential must not go to another place.
                redirect: "manual",
                signal: AbortSignal.timeout(this.#timeout),
            });
            return { status: response.status, body: await text(response) };
        } catch (error) {
            if (error instanceof Undecided) throw error;
            throw new Undecided(`no answer from patd: ${reason(error)}`);
        }
    }
}

async function text(response: Response): Promise<string> {
    const decoder = new TextDecoder();
    let [size, text] = [0, ""];
    for await (const chunk of response.body ?? []) {
        size += chunk.byteLength;
        if (size > MAX_ANSWER) throw new Undecided("the answer is too large");
        text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
}

/** The names of the errors alone: their texts may have parts of the request. */
function reason(error: unknown): string {
    const names: unknown[] = [];
    for (let at = error; at instanceof Error && names.length < 4; at = at.cause) {
        names.push("code" in at && typeof at.code === "string" ? at.code : at.name);
    }
    return names.join(", ") || "unknown error";
}
