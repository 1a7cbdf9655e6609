// Lines of the log as people read them: columns, colours on demand, and nothing in them that a terminal would obey.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { LogFields } from "../../src/core/log.ts";
import { renderTextLine, type TextLine } from "../../src/platform/log-text.ts";

function render(event: string, fields: LogFields, more: Partial<TextLine> = {}): string {
  return renderTextLine({ level: "info", event, time: "2026-11-21T12:30:15.250Z", fields, colour: false, ...more });
}

describe("renderTextLine", () => {
  test("shows the time, the level, the event and its fields", () => {
    expect(render("job.failed", { attempt: 2, message: "no answer", empty: "", gone: undefined, list: [1] })).toBe(
      '12:30:15.250 info  job.failed       attempt=2 message="no answer" empty="" list=[1]',
    );
    expect(render("stopping", {}, { level: "warn" })).toBe("12:30:15.250 warn  stopping");
  });

  test("shows requests in columns, under each other", () => {
    const one = render("request", { requestId: "r1", method: "GET", path: "/a", status: 200, ms: 1.234 });
    const two = render("request", {
      requestId: "r2",
      method: "DELETE",
      path: "/b",
      status: 404,
      ms: 123.456,
      user: "u",
    });
    expect(one).toBe("12:30:15.250 info  GET    200     1.2 ms /a r1");
    expect(two).toBe("12:30:15.250 info  DELETE 404   123.5 ms /b r2 user=u");
  });

  test("shows a stack below its line", () => {
    const lines = render("function.failed", { message: "x", stack: "Error: x\n    at y" }).split("\n");
    expect(lines).toEqual(["12:30:15.250 info  function.failed  message=x", "    Error: x", "        at y"]);
  });

  test("has the same text with and without colours", () => {
    const fields = { requestId: "r", method: "GET", path: "/", status: 500, ms: 1 };
    for (const event of ["request", "other"]) {
      const coloured = render(event, fields, { colour: true, level: "error" });
      expect(coloured).toContain("\u001b[31m");
      // oxlint-disable-next-line no-control-regex
      expect(coloured.replace(/\u001b\[\d+m/g, "")).toBe(render(event, fields, { level: "error" }));
    }
  });

  test("lets nothing through that moves the cursor, begins a line or turns the text around", () => {
    const text = fc.string({ unit: "binary", maxLength: 30 });
    fc.assert(
      fc.property(text, text, (value, path) => {
        const lines = [
          render("x", { value, nested: { [value]: value } }),
          render("request", { method: value, path, status: 200, ms: 1, requestId: value }),
        ];
        // oxlint-disable-next-line no-control-regex
        for (const line of lines)
          expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
        const stack = render("x", { stack: `${value}\n${path}` })
          .split("\n")
          .slice(1);
        for (const line of stack) expect(line).toMatch(/^ {4}[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/);
      }),
    );
  });

  test("does not let one field look like two", () => {
    expect(render("x", { a: "1 b=2" })).toEndWith('a="1 b=2"');
    expect(render("x", { a: "b=2" })).toEndWith('a="b=2"');
  });
});
