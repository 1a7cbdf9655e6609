// Names as the database sees them. Tables and indexes share one namespace there, and Postgres cuts a name off after 63
// bytes, so two names that Pylon tells apart could become one: `check-manifest.ts` refuses both cases.

/** The longest name that every supported database keeps whole. Names are ASCII, so characters are bytes. */
export const MAX_NAME_CHARS = 63;

/** A name of an entity, a field or an index. */
export const NAME_PATTERN: RegExp = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;

/** The index behind a field's `unique`. */
export function uniqueIndexName(entity: string, field: string): string {
  return `${entity}_${field}_unique`;
}

/** An index that the entity declares. */
export function declaredIndexName(entity: string, index: string): string {
  return `${entity}_${index}`;
}
