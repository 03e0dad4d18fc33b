/** Checks tokens against patd, the personal access token daemon. */

export { Cache, type CacheOptions } from "./cache.js";
export { Client, type ClientOptions } from "./client.js";
export { Undecided, type Accepted, type Owner, type Refused, type Token, type Verdict } from "./verdict.js";
