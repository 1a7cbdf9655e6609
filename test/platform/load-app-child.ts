// The main file of a small executable: loads the application whose folder it is given, twice with a change in between, and
// prints what it found as JSON.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadApp, type LoadedApp } from "../../src/platform/load-app-bun.ts";
import { createSdk } from "../../src/sdk/sdk.ts";

const dir = process.argv[2] ?? "";

async function load(instance: string): Promise<LoadedApp> {
  const sdk = createSdk({ sdkExports: { instance: () => instance } });
  return loadApp({ dir, sdk, onUncaught: (error) => console.error(error) });
}

async function call(app: LoadedApp, name: string): Promise<unknown> {
  return (await app.functions.get(name)?.handler({} as never, {})) ?? null;
}

const first = await load("first");
const second = await load("second");
const imports = await call(first, "imports");
const instances = [await call(first, "instance"), await call(second, "instance")];
writeFileSync(join(dir, "lib/data.json"), '{ "from": "a reload" }');
writeFileSync(join(dir, "functions/torn.ts"), 'import { a } from "./inner/gone";\nexport default a;\n');
const third = await load("third");
console.log(
  JSON.stringify({
    problems: [first.problems, third.problems.map(({ file, line, column }) => `${file}:${line}:${column}`)],
    plugins: first.plugins.map(({ name }) => name),
    imports,
    instances,
    reloaded: await call(third, "imports"),
  }),
);
for (const app of [first, second, third]) app.dispose();
