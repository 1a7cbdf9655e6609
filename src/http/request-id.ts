// Request ids: the caller's when it is one, else a new one. An id ends up in logs and audit entries, so its form is bound.

const CALLERS_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** Creates a source of ids that are unique across processes: a random prefix and a counter. */
export function createRequestIds(): (given: string | null) => string {
  const prefix = crypto.randomUUID().slice(0, 8);
  let count = 0;
  return (given) => {
    if (given !== null && CALLERS_ID.test(given)) return given;
    count += 1;
    return `req_${prefix}${count.toString(36).padStart(6, "0")}`;
  };
}
