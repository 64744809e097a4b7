/**
 * Whether an If-None-Match header names this entity tag (RFC 9110 §13.1.2). The comparison is weak: proxies that compress
 * put `W/` before a strong tag.
 */
export function namesTag(header: string, tag: string): boolean {
  if (header.trim() === '*') return true
  return header.split(',').some((each) => each.trim().replace(/^W\//, '') === tag)
}
