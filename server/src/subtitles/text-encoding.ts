import { isUtf8 } from 'node:buffer'

/** Text of a file that does not say how it is encoded: by its byte order mark, UTF-8 if it is that, else windows-1252. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder(encodingOf(bytes)).decode(bytes)
}

function encodingOf(bytes: Uint8Array): string {
  const [first, second, third] = bytes
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  if (first === 0xfe && second === 0xff) return 'utf-16be'
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8'
  return isUtf8(bytes) ? 'utf-8' : 'windows-1252'
}
