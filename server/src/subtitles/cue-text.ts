import { vttTime } from '../media/vtt-time.ts'

/** Deeper than anybody writes, and shallow enough for any player. */
const DEEPEST = 10
const LONGEST_ANNOTATION = 100

/**
 * Cue text that every WebVTT parser takes (W3C WebVTT §4.2): known tags, closed and nested well; everything else is
 * text. Empty where nothing would be seen.
 */
export function cleanCueText(text: string, startMs: number, endMs: number): string {
  const writer = new CueWriter(startMs, endMs)
  for (const [token, tag] of withoutOverrides(text).matchAll(/<([^<>]*)>|[^<]+|</g)) {
    if (tag === undefined) writer.text(token)
    else writer.tag(tag)
  }
  return writer.end()
}

/** `{\an8}` and the like, which come from SubStation Alpha. Says whether the text belongs to the top of the picture. */
export function belongsToTop(text: string): boolean {
  return /\{\\an[789]\}/.test(text)
}

function withoutOverrides(text: string): string {
  return text
    .replaceAll(/\{\\([biu])([01])\}/g, (_, name: string, on: string) =>
      on === '1' ? `<${name}>` : `</${name}>`,
    )
    .replaceAll(/\{\\[^{}]*\}/g, '')
}

class CueWriter {
  readonly #startMs: number
  readonly #endMs: number
  #lastMs: number
  #open: string[] = []
  #written = ''
  #hasText = false

  constructor(startMs: number, endMs: number) {
    this.#startMs = startMs
    this.#endMs = endMs
    this.#lastMs = startMs
  }

  text(raw: string): void {
    const text = decodeReferences(raw).replaceAll(/(?!\n)\p{Cc}/gu, ' ')
    this.#hasText ||= text.trim() !== ''
    this.#written += escape(text)
  }

  tag(inner: string): void {
    const [, name = '', classes = '', annotation = ''] =
      /^([a-z]+)((?:\.[^\s.]+)*)(?:\s+([^]*))?$/i.exec(inner) ?? []
    const [, closed] = /^\/\s*([a-z]+)\s*$/i.exec(inner) ?? []
    if (closed !== undefined) this.#close(closed.toLowerCase())
    else if (/^br\s*\/?$/i.test(inner)) this.#written += '\n'
    else if (KNOWN.has(name.toLowerCase())) this.#start(name.toLowerCase(), classes, annotation)
    else if (TIMESTAMP.test(inner)) this.#timestamp(inner)
    else if (!/^\/?[a-z][\w:-]*(?:[\s/.=]|$)/i.test(inner)) this.text(`<${inner}>`)
  }

  #start(name: string, classes: string, annotation: string): void {
    const isAllowed = name === 'rt' ? this.#open.at(-1) === 'ruby' : true
    const isNestedVoice = name === 'v' && this.#open.includes('v')
    const said = ANNOTATIONS[name]?.(annotation)
    if (!isAllowed || isNestedVoice || said === '' || this.#open.length >= DEEPEST) return
    this.#open.push(name)
    this.#written += `<${name}${cleanClasses(classes)}${said === undefined ? '' : ` ${said}`}>`
  }

  #close(name: string): void {
    if (!this.#open.includes(name)) return
    for (;;) {
      const inner = this.#open.pop()
      this.#written += `</${inner}>`
      if (inner === name) return
    }
  }

  /** When the text behind it is to appear: later than the one before, and within the cue. */
  #timestamp(inner: string): void {
    const ms = inner.split(':').reduce((sum, part) => 60 * sum + Math.round(1000 * Number(part)), 0)
    if (ms <= Math.max(this.#startMs, this.#lastMs) || ms >= this.#endMs) return
    this.#lastMs = ms
    this.#written += `<${vttTime(ms)}>`
  }

  /** Without blank lines: one would end the cue. */
  end(): string {
    if (!this.#hasText) return ''
    this.#written = this.#written.trimEnd()
    for (const name of this.#open.toReversed()) this.#written += `</${name}>`
    const lines = this.#written.split('\n').map((line) => line.trim())
    return lines.filter((line) => line !== '').join('\n')
  }
}

const KNOWN = new Set(['b', 'i', 'u', 'c', 'v', 'ruby', 'rt', 'lang'])
const TIMESTAMP = /^(?:\d{2}:)?[0-5]\d:[0-5]\d\.\d{3}$/

/** Tags that need to say more; an empty result drops the tag. Both end in a letter or digit: `--` would make a `-->`. */
const ANNOTATIONS: Record<string, (annotation: string) => string> = {
  v: (annotation) => {
    const words = decodeReferences(annotation)
      .replaceAll(/[\s\p{Cc}]+/gu, ' ')
      .trim()
    return escape(
      [...words]
        .slice(0, LONGEST_ANNOTATION)
        .join('')
        .replace(/[-\s]+$/, ''),
    )
  },
  lang: (annotation) => (/^[a-z]{2,8}(?:-[a-z\d]{1,8}){0,5}$/i.test(annotation) ? annotation : ''),
}

function cleanClasses(classes: string): string {
  const names = classes.split('.').filter((name) => /^\w{1,30}(?:-\w{1,30}){0,5}$/.test(name))
  return names.map((name) => `.${name}`).join('')
}

const NAMED: Record<string, string> = {
  ...{ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" },
  ...{ nbsp: '\u00A0', lrm: '\u200E', rlm: '\u200F' },
}

function decodeReferences(text: string): string {
  return text.replaceAll(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,6}));/gi,
    (reference, decimal?: string, hexadecimal?: string, name = '') => {
      if (decimal !== undefined) return character(Number(decimal))
      if (hexadecimal !== undefined) return character(Number.parseInt(hexadecimal, 16))
      return Object.hasOwn(NAMED, name) ? (NAMED[name] ?? '') : reference
    },
  )
}

function character(code: number): string {
  const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0)
  const isSurrogate = code >= 0xd8_00 && code < 0xe0_00
  return isControl || isSurrogate || code > 0x10_ff_ff ? '\uFFFD' : String.fromCodePoint(code)
}

/** `>` as well, so that no text holds a `-->`. */
function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
