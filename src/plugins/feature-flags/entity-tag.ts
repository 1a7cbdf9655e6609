// Conditional requests (RFC 9110, section 13.1.2): whether a caller has the current answer already.

/** Whether `If-None-Match` names `tag`, which is given with its quotes. Weak and strong tags count the same. */
export function isUnchanged(request: Request, tag: string): boolean {
  const header = request.headers.get("if-none-match");
  if (header === null) return false;
  return header.split(",").some((part) => {
    const given = part.trim();
    return given === "*" || given === tag || given === `W/${tag}`;
  });
}
