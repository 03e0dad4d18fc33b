/** Middleware for Express. */

import type { Request, RequestHandler } from "express";
import { decide, type MiddlewareOptions } from "./answers.js";
import type { Client } from "./client.js";
import type { Accepted } from "./verdict.js";

declare global {
    namespace Express {
        interface Request {
            /** Whose token the request has, behind the middleware of patd-client. */
            verdict?: Accepted;
        }
    }
}

export interface ExpressOptions extends MiddlewareOptions {
    /** The address of the client. The default is `request.ip`: behind a proxy, set `trust proxy`. */
    address?: (request: Request) => string | undefined;
}

/** Lets a request pass if its token is valid and has all `abilities`. `request.verdict` then says whose it is. */
export function tokens(client: Client, abilities: readonly string[] = [], options: ExpressOptions = {}): RequestHandler {
    const address = options.address ?? ((request) => request.ip);
    return (request, response, next) => {
        decide(client, request.headers.authorization, abilities, address(request), options).then((decision) => {
            if ("status" in decision) {
                response.status(decision.status).set(decision.headers).json(decision.body);
                return;
            }
            request.verdict = decision;
            next();
        }, next);
    };
}
