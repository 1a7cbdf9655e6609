// The counts that the suite ends with are only as good as the reading of the reports.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import { readJUnit } from "./junit.ts";

const BUN = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="4" failures="2" skipped="1">
  <testsuite name="test/a.test.ts" file="test/a.test.ts" tests="3">
    <testsuite name="outer" file="test/a.test.ts">
      <testsuite name="inner" file="test/a.test.ts">
        <testcase name="is &lt;1 &amp; &quot;ok&quot; a/b" classname="inner &gt; outer" time="0" file="test/a.test.ts" />
        <testcase name="later" classname="inner &gt; outer" time="0" file="test/a.test.ts">
          <skipped />
        </testcase>
      </testsuite>
    </testsuite>
    <testcase name="bad" classname="" time="0" file="test/a.test.ts">
      <failure type="AssertionError" message="a > b&#10;/>">&lt;testcase name="no"/&gt;</failure>
    </testcase>
  </testsuite>
  <testsuite name="test/b.test.ts" file="test/b.test.ts" tests="1">
    <testcase name="(worker crashed)" classname="" time="0" file="test/b.test.ts"><failure message="x" /></testcase>
  </testsuite>
</testsuites>`;

const DENO = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="6" failures="2" errors="0" time="0.1">
    <testsuite name="./test/a.test.ts" tests="1">
        <testcase name="outer" classname="./test/a.test.ts" time="0.007" line="3" col="1">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
    </testsuite>
    <testsuite name="ext:deno_node/testing.ts" tests="4">
        <testcase name="outer &gt; bad" classname="ext:deno_node/testing.ts">
            <failure message="Uncaught AssertionError:

1 !== 2
">AssertionError</failure>
        </testcase>
        <testcase name="outer &gt; inner" classname="ext:deno_node/testing.ts">
        </testcase>
        <testcase name="outer &gt; inner &gt; deep" classname="ext:deno_node/testing.ts">
        </testcase>
        <testcase name="outer &gt; inner &gt; later" classname="ext:deno_node/testing.ts">
            <skipped/>
        </testcase>
    </testsuite>
    <testsuite name="./test/b.test.ts" tests="1">
        <testcase name="flat" classname="./test/b.test.ts">
        </testcase>
    </testsuite>
</testsuites>`;

describe("readJUnit()", () => {
  it("reads what bun test writes", () => {
    const { cases, files } = readJUnit(BUN);
    assert.deepEqual(cases, [
      { name: 'outer > inner > is <1 & "ok" a/b', outcome: "passed" },
      { name: "outer > inner > later", outcome: "skipped" },
      { name: "bad", outcome: "failed" },
      { name: "(worker crashed)", outcome: "failed" },
    ]);
    assert.deepEqual([...files], ["test/a.test.ts", "test/b.test.ts"]);
  });

  it("reads what deno test writes, and counts a suite not at all", () => {
    const { cases, files } = readJUnit(DENO);
    assert.deepEqual(cases, [
      { name: "outer > bad", outcome: "failed" },
      { name: "outer > inner > deep", outcome: "passed" },
      { name: "outer > inner > later", outcome: "skipped" },
      { name: "flat", outcome: "passed" },
    ]);
    assert.deepEqual([...files], ["test/a.test.ts", "test/b.test.ts"]);
  });

  it("finds nothing in an empty report", () => {
    assert.deepEqual(readJUnit(""), { cases: [], files: new Set() });
  });
});
