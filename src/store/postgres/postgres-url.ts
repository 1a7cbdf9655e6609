// Addresses of Postgres databases, which hold passwords: what may be shown of them, and what is one at all.

/** Whether it names a Postgres database. */
export function isPostgresUrl(text: string): boolean {
  const url = URL.parse(text);
  return (url?.protocol === "postgres:" || url?.protocol === "postgresql:") && url.pathname.length > 1;
}

/** For logs and people: no user, no password, no parameters. */
export function nameOf(url: string): string {
  const parsed = URL.parse(url);
  return parsed ? `postgres://${parsed.host}${parsed.pathname}` : "postgres";
}
