// Reads the JUnit reports of `bun test` and `deno test` into counts. A test is counted once, however deep it stands.

export interface TestCase {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
}

export interface Report {
  readonly cases: readonly TestCase[];
  /** Test files that reported anything, from the root. */
  readonly files: ReadonlySet<string>;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (decimal) return String.fromCodePoint(Number(decimal));
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    return ENTITIES[name] ?? whole;
  });
}

function readAttribute(attributes: string, name: string): string {
  return unescape(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
}

/**
 * Deno reports a suite as one more case, beside the cases that are in it: whatever another name goes on from is a suite.
 * A test that shares its full name with a suite of another file is taken for one and not counted.
 */
function dropSuites(cases: readonly TestCase[]): readonly TestCase[] {
  const suites = new Set<string>();
  for (const { name } of cases) {
    for (let end = name.lastIndexOf(" > "); end > 0; end = name.lastIndexOf(" > ", end - 1)) {
      suites.add(name.slice(0, end));
    }
  }
  return cases.filter(({ name }) => !suites.has(name));
}

/** @param xml a report as `bun test --reporter=junit` or `deno test --junit-path` writes it */
export function readJUnit(xml: string): Report {
  const cases: TestCase[] = [];
  const files = new Set<string>();
  let open: { name: string; outcome: TestCase["outcome"] } | undefined;
  const close = (): void => {
    if (open) cases.push(open);
    open = undefined;
  };
  for (const [, slash, tag, attributes = "", empty] of xml.matchAll(
    /<(\/?)(testsuite|testcase|failure|error|skipped)\b((?:[^>"/]|"[^"]*")*)(\/?)>/g,
  )) {
    if (tag === "testsuite" || tag === "testcase") {
      if (slash) {
        if (tag === "testcase") close();
        continue;
      }
      // Bun names a case's file in `file`; Deno names a suite for its file.
      const file = readAttribute(attributes, "file") || readAttribute(attributes, "name");
      if (/\.test\.tsx?$/.test(file)) files.add(file.replace(/^\.\//, ""));
      if (tag === "testsuite") continue;
      const suite = readAttribute(attributes, "classname");
      // Bun lists a case's suites from the inside out; Deno puts them into the name.
      const path = readAttribute(attributes, "file") && suite ? suite.split(" > ").toReversed() : [];
      open = { name: [...path, readAttribute(attributes, "name")].join(" > "), outcome: "passed" };
      if (empty) close();
    } else if (open && !slash) {
      open.outcome = tag === "skipped" ? "skipped" : "failed";
    }
  }
  return { cases: xml.includes('<testsuites name="deno test"') ? dropSuites(cases) : cases, files };
}
