/** What a check of a token can end with, and how an answer of the server is read. */

/** The token could be neither accepted nor refused. Answer 503 with it, never 401. */
export class Undecided extends Error {
    override name = "Undecided";
}

/** What an accepted token is. */
export interface Token {
    id: string;
    /** `personal_access_token`, `environment_token` or `session`. */
    type: string;
    name: string | null;
    abilities: string[];
    created_at: string;
    /** An RFC 3339 time, or null if the token does not expire. */
    expires_at: string | null;
    description?: string;
    metadata?: Record<string, string>;
}

/** The user or service account that owns an accepted token. */
export interface Owner {
    id: string;
    /** `user` or `service_account`. */
    type: string;
    name: string;
    email?: string;
}

/** The token is valid and has all abilities that were asked for. */
export interface Accepted {
    valid: true;
    code: "valid";
    token: Token;
    /** Who owns it. An environment token has `environment_id` instead. */
    owner?: Owner;
    environment_id?: string;
}

/** The token is refused. */
export interface Refused {
    valid: false;
    /** Why: see the table of verdicts in docs/errors.md of patd. */
    code: string;
    /** For `missing_ability`: the abilities that were asked for, and those that the token lacks. */
    required?: string[];
    missing?: string[];
}

/** The answer of the server about a token. */
export type Verdict = Accepted | Refused;

/** Reads an answer. Whatever is not a verdict, such as a redirect or a page of a proxy, is `Undecided`. */
export function readVerdict(status: number, body: string): Verdict {
    if (status === 401 || status === 403) {
        throw new Undecided(`patd refused the credential of this client (${status}); it must be a token with tokens:introspect`);
    }
    if (status !== 200) throw new Undecided(`patd answered ${status}`);
    let data: unknown;
    try {
        data = (JSON.parse(body) as { data?: unknown } | null)?.data;
    } catch {
        data = undefined;
    }
    if (!isVerdict(data)) throw new Undecided("the answer is not one of patd: check the URL and what is in front of it");
    return data;
}

function isVerdict(data: unknown): data is Verdict {
    if (!isObject(data) || typeof data.code !== "string") return false;
    if (data.valid === false) return data.code !== "valid" && isOptional(data.required, isTexts) && isOptional(data.missing, isTexts);
    return (
        data.valid === true &&
        data.code === "valid" &&
        isToken(data.token) &&
        isOptional(data.owner, isOwner) &&
        isOptional(data.environment_id, isText)
    );
}

function isToken(token: unknown): token is Token {
    return (
        isObject(token) &&
        isText(token.id) &&
        isText(token.type) &&
        isTexts(token.abilities) &&
        (token.expires_at === null || isText(token.expires_at))
    );
}

function isOwner(owner: unknown): owner is Owner {
    return isObject(owner) && isText(owner.id) && isText(owner.type) && isText(owner.name);
}

function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null;
}

function isText(value: unknown): value is string {
    return typeof value === "string";
}

function isTexts(value: unknown): value is string[] {
    return Array.isArray(value) && value.every(isText);
}

function isOptional(value: unknown, is: (value: unknown) => boolean): boolean {
    return value === undefined || is(value);
}
