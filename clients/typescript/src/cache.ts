/** A local cache of accepted tokens. It is off unless a client gets one. */

import type { Verdict } from "./verdict.js";

export interface CacheOptions {
    /** For how long an accepted token is remembered, in milliseconds. */
    maxAge: number;
    /** How many are remembered: 10,000 by default. */
    maxEntries?: number;
}

/**
 * Remembers accepted tokens for up to `maxAge` milliseconds.
 *
 * This gives up the exactness of revocation: a token that was revoked, disabled or rotated may be accepted for `maxAge`
 * more. Uses that the cache answers do not count for rates, quotas and the time of the last use. Refused tokens and
 * undecided checks are not cached.
 */
export class Cache {
    readonly #maxAge: number;
    readonly #maxEntries: number;
    readonly #entries = new Map<string, { until: number; verdict: Verdict }>();

    constructor({ maxAge, maxEntries = 10_000 }: CacheOptions) {
        if (!(maxAge > 0 && maxEntries >= 1)) throw new RangeError("maxAge and maxEntries must be positive");
        this.#maxAge = maxAge;
        this.#maxEntries = maxEntries;
    }

    /** How many entries there are. */
    get size(): number {
        return this.#entries.size;
    }

    /** The verdict, unless it is too old. */
    get(key: string): Verdict | undefined {
        const entry = this.#entries.get(key);
        if (entry === undefined || performance.now() < entry.until) return entry?.verdict;
        this.#entries.delete(key);
        return undefined;
    }

    /** Keeps the verdict if it accepts the token. Its age counts from the time at which it was asked for. */
    put(key: string, verdict: Verdict, askedAt: number): void {
        if (!verdict.valid) return;
        const expires = verdict.token.expires_at;
        const left = expires === null ? Infinity : Date.parse(expires) - Date.now();
        this.#entries.delete(key);
        // Not a number, if the time cannot be read.
        if (!(left > 0)) return;
        if (this.#entries.size >= this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value!);
        this.#entries.set(key, { until: askedAt + Math.min(this.#maxAge, left), verdict });
    }
}

/** A hash of the whole question, so that the cache does not hold secrets. */
export async function cacheKey(token: string, abilities: readonly string[], ip: string | undefined): Promise<string> {
    const question = JSON.stringify([token, [...new Set(abilities)].sort(), ip ?? null]);
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(question));
    return String.fromCharCode(...new Uint8Array(hash));
}
