// What a person reads of an error, and what `--json` makes of it.

import { describe, expect, test } from "bun:test";
import { createPaint } from "../../src/cli/paint.ts";
import { errorDocument, renderError } from "../../src/cli/render-error.ts";
import { PylonError } from "../../src/core/errors.ts";

const plain = createPaint(false);
const PROBLEMS = [
  { path: "entities.0.name", message: "Missing" },
  { path: "", message: "Too many" },
];

describe("renderError", () => {
  test("shows the code, the message, every problem and the hint, and no stack", () => {
    const error = new PylonError("SOME_CODE", 500, { message: "It failed", hint: "Mend it", details: PROBLEMS });
    expect(renderError(error, plain)).toBe(
      "error SOME_CODE: It failed\n  entities.0.name: Missing\n  Too many\nhint: Mend it\n",
    );
  });

  test("does not say the same thing twice", () => {
    const error = new PylonError("SOME_CODE", 500, {
      message: "entities.0.name: Missing",
      details: PROBLEMS.slice(0, 1),
    });
    expect(renderError(error, plain)).toBe("error SOME_CODE: entities.0.name: Missing\n");
  });

  test("shows where an error happened that nobody expected, and says that it is a bug", () => {
    const text = renderError(new TypeError("x is not a function"), plain);
    expect(text).toStartWith("error INTERNAL: x is not a function\n");
    expect(text).toContain("render-error.test.ts");
    expect(text).toContain("bug");
    expect(renderError("thrown text", plain)).toContain("thrown text");
  });

  test("colours only when asked", () => {
    const error = new PylonError("SOME_CODE", 500, { message: "It failed" });
    expect(renderError(error, createPaint(true))).toBe("\u001b[31merror\u001b[0m SOME_CODE: It failed\n");
  });
});

describe("errorDocument", () => {
  test("holds what the text says, and nothing of the inside", () => {
    const error = new PylonError("SOME_CODE", 500, {
      message: "It failed",
      details: [{ path: "a", message: "b", missingEnv: "X" }],
      cause: new Error("inside"),
    });
    expect(errorDocument(error)).toEqual({
      error: { code: "SOME_CODE", message: "It failed", problems: [{ path: "a", message: "b" }] },
    });
    expect(errorDocument(new Error("oops"))).toEqual({ error: { code: "INTERNAL", message: "oops" } });
  });
});
