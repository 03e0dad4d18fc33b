/** What an application answers to its own client: the same for every framework. */

import { Undecided, type Accepted, type Verdict } from "./verdict.js";
import type { Client } from "./client.js";

/** A refusal in the form of patd's errors. */
export interface Answer {
    status: 401 | 403 | 429 | 503;
    headers: Record<string, string>;
    body: { message: string; code: string; required?: string[] };
}

/** What every middleware can be told. */
export interface MiddlewareOptions {
    /** Accepts sessions of patd (`ses_…`), too. They may do everything in the account of a user, so they are refused by default. */
    acceptSessions?: boolean;
    /** Called with the error if a token could not be checked. The default is `console.warn`. */
    onUndecided?: (error: Undecided) => void;
}

const answer = (status: Answer["status"], code: string, message: string, headers: Record<string, string> = {}): Answer => ({
    status,
    headers,
    body: { message, code },
});

/** Decides about the token in the header: whose it is, or what to answer. */
export async function decide(
    client: Client,
    authorization: string | undefined,
    abilities: readonly string[],
    address: string | undefined,
    options: MiddlewareOptions,
): Promise<Accepted | Answer> {
    const token = /^bearer +(\S.*?) *$/i.exec(authorization ?? "")?.[1];
    if (token === undefined) {
        return answer(401, "unauthenticated", "Send a token as Authorization: Bearer TOKEN.", { "WWW-Authenticate": "Bearer" });
    }
    let verdict: Verdict;
    try {
        verdict = await client.verify(token, abilities, ipAddress(address));
    } catch (error) {
        if (!(error instanceof Undecided)) throw error;
        const report = options.onUndecided ?? ((error) => console.warn(`a token could not be checked: ${error.message}`));
        report(error);
        return answer(503, "undecided", "The token cannot be checked now. Try again.", { "Retry-After": "1" });
    }
    if (verdict.valid) {
        const isRefused = verdict.token.type === "session" && !options.acceptSessions;
        return isRefused ? answer(403, "wrong_kind", "A session is not accepted here. Use a token.") : verdict;
    }
    switch (verdict.code) {
        case "missing_ability":
            return missingAbility(verdict.required ?? []);
        case "rate_limited":
            return answer(429, "too_many_attempts", "The token reached its limit of requests per minute.");
        case "quota_exceeded":
            return answer(429, "quota_exceeded", "The token has been used as often as its quota allows.");
        default:
            // The same for each reason, so that a refusal tells a thief nothing.
            return answer(401, "unauthenticated", "The token is not accepted.", { "WWW-Authenticate": 'Bearer error="invalid_token"' });
    }
}

function missingAbility(required: string[]): Answer {
    const scope = required.length === 0 ? "" : `, scope="${required.join(" ")}"`;
    const headers = { "WWW-Authenticate": `Bearer error="insufficient_scope"${scope}` };
    const refused = answer(403, "missing_ability", "The token lacks an ability that is needed here.", headers);
    return { ...refused, body: { ...refused.body, required } };
}

/** The address as the server reads it, or undefined if it is none, such as that of a Unix socket. */
function ipAddress(text: string | undefined): string | undefined {
    const address = text?.replace(/%.*$/, "");
    return address !== undefined && /^(?=.*[.:])[0-9a-fA-F:.]+$/.test(address) ? address : undefined;
}
