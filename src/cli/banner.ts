// What `pylon dev` prints when it is up: where it answers, where the data lies, who may do everything, and what to try.

import type { EntityDef, FieldDef } from "../manifest/manifest.ts";
import type { Blueprint } from "../instance/blueprint.ts";
import type { Paint } from "./paint.ts";

/** `fromEnvironment`: it was there before; it is the reader's secret and is not shown. */
export interface ShownToken {
  readonly token: string;
  readonly source: "generated" | "file" | "environment";
}

export interface BannerParts {
  readonly version: string;
  readonly url: string;
  readonly database: string;
  readonly admin: ShownToken;
  readonly blueprint: Blueprint;
  readonly functionCount: number;
}

const TOKEN_NOTES: Readonly<Record<ShownToken["source"], (token: string) => string>> = {
  generated: (token) => `${token}  (for this run; set PYLON_ADMIN_TOKEN in .env to keep one)`,
  file: (token) => `${token}  (PYLON_ADMIN_TOKEN of .env)`,
  environment: () => "the value of PYLON_ADMIN_TOKEN",
};

/** A value that a field takes; undefined when only a row of another entity has one. */
function sampleValue({ type }: FieldDef): unknown {
  const samples: Readonly<Record<string, unknown>> = {
    string: "text",
    richtext: "text",
    int: 1,
    float: 1.5,
    bool: true,
    datetime: "2030-01-31T12:00:00Z",
    json: {},
  };
  return samples[type];
}

/** A row that can be inserted; undefined when it needs other rows first. */
export function sampleRow({ fields }: EntityDef): Readonly<Record<string, unknown>> | undefined {
  const needed = fields.filter((field) => !field.optional);
  const entries = needed.map((field): [string, unknown] => [field.name, sampleValue(field)]);
  return entries.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(entries);
}

/** The entities that the application itself declares. */
export function ownEntities({ manifest, chosen }: Blueprint): readonly EntityDef[] {
  const brought = new Set(chosen.flatMap(({ plugin }) => plugin.entities?.map(({ def }) => def.name) ?? []));
  return manifest.entities.filter(({ name }) => !brought.has(name));
}

/** A request that works as it stands, for a POSIX shell. */
function tryCommand({ url, admin, blueprint }: BannerParts): string {
  const token = admin.source === "environment" ? "$PYLON_ADMIN_TOKEN" : admin.token;
  const authorization = `-H "Authorization: Bearer ${token}"`;
  const entities = ownEntities(blueprint);
  for (const entity of entities) {
    const row = sampleRow(entity);
    if (!row) continue;
    const body = `-H "Content-Type: application/json" -d '${JSON.stringify(row)}'`;
    return `curl -X POST ${url}/api/entities/${entity.name} ${authorization} ${body}`;
  }
  const [first] = entities;
  return first ? `curl ${url}/api/entities/${first.name} ${authorization}` : `curl ${url}/health`;
}

export function countOf(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** `1 entity, 2 functions, 0 plugins` */
export function describeApp(blueprint: Blueprint, functionCount: number): string {
  return [
    countOf(ownEntities(blueprint).length, "entity", "entities"),
    countOf(functionCount, "function", "functions"),
    countOf(blueprint.chosen.length, "plugin", "plugins"),
  ].join(", ");
}

export function renderBanner(parts: BannerParts, paint: Paint): string {
  const { version, url, database, admin, blueprint, functionCount } = parts;
  const row = (name: string, value: string): string => `  ${paint("dim", name.padEnd(12))}${value}`;
  return [
    "",
    `  ${paint("bold", blueprint.manifest.name)} on Pylon ${version}`,
    "",
    row("url", paint("cyan", url)),
    row("api", `${url}/api/openapi.json`),
    row("database", database),
    row("admin token", TOKEN_NOTES[admin.source](admin.token)),
    row("application", describeApp(blueprint, functionCount)),
    "",
    row("try", tryCommand(parts)),
    "",
    "",
  ].join("\n");
}
