// The rules of the house, as pure functions from scanned sources to problems. A problem is one line that names the file,
// what is wrong, and what to do about it.

import { posix } from "node:path";

import { EMPTY_NAMES, MAX_CODE_LINES, PLATFORM_NAMES, ROOMS, ROOTS, type Room } from "./house-rooms.ts";
import type { Source } from "./house-scan.ts";

/** Every source by its path from the root, with forward slashes. */
export type House = ReadonlyMap<string, Source>;
export type Rule = (house: House) => readonly string[];

/** A place in the table: the row, and which of its folders when the row stands for several. */
interface Place {
  readonly room: Room;
  readonly folder: string;
}

/** Where a file of src/ belongs; undefined: the table has no row for it. */
export function findPlace(path: string): Place | undefined {
  const [, first = "", second = "", third] = path.split("/");
  const folder = first === "plugins" && third !== undefined ? `plugins/${second}` : first;
  const row = folder.startsWith("plugins/") ? "plugins/*" : folder;
  const room = ROOMS.find(({ name }) => name === row);
  return room && { room, folder };
}

function* sourcesOfSrc(house: House): Generator<readonly [string, Source, Place]> {
  for (const [path, source] of house) {
    const place = path.startsWith("src/") ? findPlace(path) : undefined;
    if (place) yield [path, source, place];
  }
}

const isRelative = (specifier: string): boolean => specifier.startsWith("./") || specifier.startsWith("../");

/** The path from the root that a relative specifier in `path` means. */
const toPath = (path: string, specifier: string): string => posix.join(posix.dirname(path), specifier);

const isModule = (path: string): boolean => path.endsWith(".ts") || path.endsWith(".tsx");

/** The modules that a file imports, by path; whether or not they exist. */
function listModules(path: string, source: Source): readonly string[] {
  return source.imports
    .filter(isRelative)
    .map((specifier) => toPath(path, specifier))
    .filter(isModule);
}

export const everyFileHasARoom: Rule = (house) =>
  [...house.keys()]
    .filter((path) => path.startsWith("src/") && !findPlace(path))
    .map((path) => `${path}: no row of test/house-rooms.ts is its room; move it into a room, or give the table a row`);

export const importsExist: Rule = (house) =>
  [...house].flatMap(([path, source]) =>
    listModules(path, source)
      .filter((target) => !house.has(target))
      .map((target) => `${path}: imports ${target}, which does not exist; correct the path (with its extension)`),
  );

/** Why `from` may not import `to`, or undefined when it may. */
function findTrespass(from: Place, to: Place): string | undefined {
  if (from.folder === to.folder) return undefined;
  const { importedBy } = to.room;
  if (importedBy && !importedBy.includes(from.room.name)) {
    return `only ${importedBy.join(" and ")} may; take what you need as an argument`;
  }
  if (from.room.name === "plugins/*" && to.room.name === "plugins/*") {
    return "plugins do not know each other; move what they share to a room below, or go through the plugin contract";
  }
  if (to.room.rank < from.room.rank) return undefined;
  const ranks = `${from.folder} is ${from.room.rank}, ${to.folder} is ${to.room.rank}`;
  return `a room imports only smaller numbers (${ranks}); move the shared part down, or take it as an argument`;
}

export const importsPointDown: Rule = (house) =>
  [...sourcesOfSrc(house)].flatMap(([path, source, from]) =>
    listModules(path, source).flatMap((target) => {
      if (!target.startsWith("src/")) return [`${path}: imports ${target}; the product imports nothing outside src/`];
      const to = findPlace(target);
      const trespass = to && findTrespass(from, to);
      return trespass ? [`${path}: imports ${target}: ${trespass}`] : [];
    }),
  );

/** One problem per ring of files, however many ways lead around it. */
export const noCycles: Rule = (house) => {
  const done = new Set<string>();
  const trail: string[] = [];
  const problems: string[] = [];
  const visit = (path: string): void => {
    const source = house.get(path);
    if (!source || done.has(path)) return;
    const since = trail.indexOf(path);
    if (since >= 0) {
      const ring = [...trail.slice(since), path].join(" → ");
      problems.push(`${ring}: a cycle; move what both need (types too) into a file that imports neither`);
      return;
    }
    trail.push(path);
    for (const target of listModules(path, source)) visit(target);
    trail.pop();
    done.add(path);
  };
  for (const path of house.keys()) visit(path);
  return problems;
};

/** Imports by tests do not count: code that only a test needs is not part of the product. */
export const everythingIsReached: Rule = (house) => {
  const reached = new Set<string>();
  const waiting = ROOTS.filter((root) => house.has(root));
  if (waiting.length === 0) return [`${ROOTS.join(" and ")} do not exist; nothing can be reached`];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const source = house.get(path);
    if (!source || reached.has(path)) continue;
    reached.add(path);
    waiting.push(...listModules(path, source));
  }
  return [...house.keys()]
    .filter((path) => path.startsWith("src/") && !reached.has(path))
    .map((path) => `${path}: ${ROOTS.join(" and ")} never reach it; wire it in, or delete it`);
};

export const webOnlyRoomsStayWebOnly: Rule = (house) =>
  [...sourcesOfSrc(house)].flatMap(([path, source, { room }]) => {
    if (!room.webOnly) return [];
    const names = PLATFORM_NAMES.filter((name) => source.names.has(name));
    const modules = source.imports.filter((specifier) => /^(?:node:|bun$|bun:|jsr:|npm:|https?:)/.test(specifier));
    return [...names, ...modules].map(
      (name) => `${path}: uses ${name}; ${room.name} sees Web APIs alone, so take it as an argument from src/platform/`,
    );
  });

const toPackage = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

export const librariesStayInTheirRooms: Rule = (house) =>
  [...sourcesOfSrc(house)].flatMap(([path, source, { room }]) => {
    const { libraries } = room;
    if (!libraries) return [];
    return source.imports
      .filter((specifier) => !isRelative(specifier) && !specifier.includes(":"))
      .filter((specifier) => !libraries.includes(toPackage(specifier)))
      .map((specifier) => `${path}: imports "${specifier}", which ${room.name} does not list in test/house-rooms.ts`);
  });

export const namesSayWhatIsInside: Rule = (house) =>
  [...house.keys()]
    .filter((path) => EMPTY_NAMES.includes(posix.basename(path).replace(/(?:\.\w+)+$/, "")))
    .map((path) => `${path}: the name says nothing; name the file for its main export`);

export const filesStaySmall: Rule = (house) =>
  [...house]
    .filter(([path, source]) => path.startsWith("src/") && source.codeLines > MAX_CODE_LINES)
    .map(([path, { codeLines }]) => `${path}: ${codeLines} lines of code, ${MAX_CODE_LINES} at most; find the wall`);

export const filesOpenWithAComment: Rule = (house) =>
  [...house]
    .filter(([, source]) => !source.opensWithComment)
    .map(([path]) => `${path}: opens without a comment; say in a sentence or two what it does and what always holds`);

/** A code means one thing, wherever it comes from. */
export const errorCodesAreUnique: Rule = (house) => {
  const owners = new Map<string, string>();
  const problems: string[] = [];
  for (const [path, { errorCodes }] of house) {
    if (!path.startsWith("src/")) continue;
    for (const code of errorCodes) {
      const owner = owners.get(code);
      if (owner)
        problems.push(`${path}: ${code} is declared in ${owner} already; raise that one, or find its own name`);
      if (!/^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*$/.test(code))
        problems.push(`${path}: "${code}" is not SCREAMING_SNAKE_CASE`);
      owners.set(code, path);
    }
  }
  return problems;
};

/** Tables live in `<room>-errors.ts`, so that a reader finds every code of a room in one place. */
export const errorTablesAreFound: Rule = (house) =>
  [...house]
    .filter(([path, source]) => path.startsWith("src/") && source.errorCodes.length > 0)
    .filter(([path]) => path !== "src/core/errors.ts" && !path.endsWith("-errors.ts"))
    .map(([path]) => `${path}: declares error codes; move the table to the room's <room>-errors.ts`);
