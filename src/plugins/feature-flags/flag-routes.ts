// Flags over HTTP: what a caller's flags are, and the administrator's list and changes. A caller is told names and answers;
// rules, lists and other people's ids are told to administrators alone.

import { defineRoute, type Route } from "../../plugin/route.ts";
import { changeFlag, type ChangeFlagOptions, resetFlag } from "./change-flag.ts";
import { describeFlag } from "./describe-flag.ts";
import { isUnchanged } from "./entity-tag.ts";
import { flagChanges } from "./flag-definition.ts";
import { answerAll } from "./served-flags.ts";

const TAG = "flags";
/** A shared cache must not hand one caller's flags to another. */
const PRIVATE: Readonly<Record<string, string>> = { "cache-control": "private, no-cache", vary: "Authorization" };

function listRoute({ live, clock, readUses }: ChangeFlagOptions): Route {
  return defineRoute({
    method: "GET",
    path: "/api/admin/flags",
    access: "admin",
    tag: TAG,
    summary: "List the flags with their rules, what was changed about them, and how often they were evaluated",
    answers: { 200: { description: "All flags, in the order of the configuration" } },
    async handle() {
      await live.fresh();
      const useOf = await readUses();
      const flags = live.current.flags.map(({ flag: { name, definition }, stored }) =>
        describeFlag({ name, definition, stored, use: useOf(name) }, clock.now()),
      );
      return { status: 200, json: { flags } };
    },
  });
}

function ownRoute({ live, clock }: ChangeFlagOptions): Route {
  return defineRoute({
    method: "GET",
    path: "/api/flags",
    access: "anyone",
    tag: TAG,
    summary: "The caller's flags: a name and true or false for each",
    answers: { 200: { description: "The flags" }, 304: { description: "They are what If-None-Match names" } },
    async handle({ identity, raw }) {
      await live.fresh();
      const { parts, tag } = answerAll(live.current, "plain", { ...identity, nowMs: clock.now() });
      const etag = `"${tag}"`;
      const headers = { ...PRIVATE, etag };
      if (isUnchanged(raw, etag)) return { status: 304, headers };
      return {
        status: 200,
        text: `{${parts.join(",")}}`,
        headers: { ...headers, "content-type": "application/json" },
      };
    },
  });
}

function changeRoute(options: ChangeFlagOptions): Route {
  return defineRoute({
    method: "PATCH",
    path: "/api/admin/flags/:name",
    access: "admin",
    tag: TAG,
    summary: "Change keys of a flag; null takes one away. Stored, and live on every replica within a second",
    body: flagChanges,
    idempotency: "transactional",
    answers: { 200: { description: "The flag as it is now" }, 404: { description: "No such flag" } },
    handle: (request) => changeFlag(options, request),
  });
}

function resetRoute(options: ChangeFlagOptions): Route {
  return defineRoute({
    method: "DELETE",
    path: "/api/admin/flags/:name/changes",
    access: "admin",
    tag: TAG,
    summary: "Forget what was changed about a flag: it is what the configuration says again",
    idempotency: "transactional",
    answers: { 200: { description: "Whether there was a change to forget" }, 404: { description: "No such flag" } },
    handle: (request) => resetFlag(options, request),
  });
}

export function flagRoutes(options: ChangeFlagOptions): Route[] {
  return [ownRoute(options), listRoute(options), changeRoute(options), resetRoute(options)];
}
