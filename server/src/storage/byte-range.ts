/** First and last byte, both included. */
export interface ByteRange {
  start: number
  end: number
}

const FORM = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i

/**
 * What part of `size` bytes a Range header asks for (RFC 9110 §14.1.2): `null` for all of it, which is also the answer to
 * a header that is malformed, in other units, or names several ranges; `'unsatisfiable'` for a part that is not there.
 */
export function selectRange(
  header: string | undefined,
  size: number,
): ByteRange | 'unsatisfiable' | null {
  const match = FORM.exec(header ?? '')
  const [, first = '', last = ''] = match ?? []
  if (!match || (first === '' && last === '')) return null
  if (first === '') return suffix(Number(last), size)
  const start = Number(first)
  const end = last === '' ? size - 1 : Number(last)
  if (last !== '' && end < start) return null
  if (start >= size) return 'unsatisfiable'
  return { start, end: Math.min(end, size - 1) }
}

function suffix(length: number, size: number): ByteRange | 'unsatisfiable' {
  if (length === 0 || size === 0) return 'unsatisfiable'
  return { start: Math.max(0, size - length), end: size - 1 }
}
