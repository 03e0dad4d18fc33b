/** Middleware for Hono. */

import type { Context, MiddlewareHandler } from "hono";
import { decide, type MiddlewareOptions } from "./answers.js";
import type { Client } from "./client.js";
import type { Accepted } from "./verdict.js";

export interface HonoOptions extends MiddlewareOptions {
    /**
     * The address of the client, for example from `getConnInfo` of the adapter. Without it, tokens with an `ip_allowlist` are
     * refused.
     */
    address?: (context: Context) => string | undefined;
}

/** Lets a request pass if its token is valid and has all `abilities`. `context.get("verdict")` then says whose it is. */
export function tokens(
    client: Client,
    abilities: readonly string[] = [],
    options: HonoOptions = {},
): MiddlewareHandler<{ Variables: { verdict: Accepted } }> {
    return async (context, next) => {
        const authorization = context.req.header("Authorization");
        const decision = await decide(client, authorization, abilities, options.address?.(context), options);
        if ("status" in decision) return context.json(decision.body, decision.status, decision.headers);
        context.set("verdict", decision);
        return next();
    };
}
