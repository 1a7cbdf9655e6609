// Postgres under the store contract, and what is Postgres's own.

import { describeStore } from "../conformance/store.ts";
import { openTestPostgres } from "./open-test-postgres.ts";

describeStore("Postgres", () => openTestPostgres());
