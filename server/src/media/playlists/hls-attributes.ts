/** An attribute list (RFC 8216 §4.2), in the order given; what is null is left out. */
export function attributes(list: Record<string, string | number | null>): string {
  return Object.entries(list)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${value}`)
    .join(',')
}

/** A quoted-string can hold neither a quote nor a line break, and knows no escape (RFC 8216 §4.2). */
export function quoted(text: string): string {
  const clean = text.toWellFormed().replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ')
  return `"${clean.replaceAll('"', '\u2019')}"`
}
