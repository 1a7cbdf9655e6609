// The module `@pylonsync/functions`, as application code imports it.

export { action, mutation, query } from "../functions/define.ts";
export { v } from "../functions/validators.ts";
export type { ActionContext, MutationContext, QueryContext } from "../functions/contexts.ts";
export type { Infer, InferArgs } from "../functions/validators.ts";
