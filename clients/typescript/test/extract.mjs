/** Writes each example of the README to a file, which is compiled and run with the tests. */

import { mkdir, readFile, writeFile } from "node:fs/promises";

/** In the order of the README. */
const NAMES = ["check.ts", "express.ts", "hono.ts", "example.test.ts", "seed.test.ts"];

const readme = await readFile("README.md", "utf8");
const examples = [...readme.matchAll(/^```typescript\n(.*?)^```$/gms)].map(([, text]) => text);
if (examples.length !== NAMES.length) throw new Error(`the README has ${examples.length} examples`);
await mkdir("test/readme", { recursive: true });
for (const [at, name] of NAMES.entries()) await writeFile(`test/readme/${name}`, examples[at]);
