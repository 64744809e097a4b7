import { isIP } from 'node:net'
import { email } from '@videoflix/contract'
import { z } from 'zod'

/** How the text of an environment variable is read, and what is said when it cannot be. */

export const flag = z
  .string()
  .transform((text) => text.toLowerCase())
  .pipe(z.enum(['true', 'false', '1', '0'], { error: 'write True or False' }))
  .transform((text) => text === 'true' || text === '1')

export const integer = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  z
    .string()
    .regex(/^\d+$/, { error: 'write a whole number', abort: true })
    .transform(Number)
    .refine((value) => value >= min && value <= max, {
      error: `write a number from ${min} to ${max}`,
    })

/** Seconds in the text (decimals allowed), milliseconds in the program. */
export const seconds = (min = 0, max = 10 * 365 * 86_400) =>
  z
    .string()
    .regex(/^\d+(\.\d+)?$/, { error: 'write a number of seconds', abort: true })
    .transform((text) => Math.round(Number(text) * 1000))
    .refine((ms) => ms >= min * 1000 && ms <= max * 1000, {
      error: `write a number of seconds from ${min} to ${max}`,
    })

const RATE_UNITS = {
  s: 1,
  sec: 1,
  second: 1,
  m: 60,
  min: 60,
  minute: 60,
  h: 3600,
  hour: 3600,
  d: 86_400,
  day: 86_400,
} as const

export interface Rate {
  count: number
  windowMs: number
}

export const rate = z.string().transform((text, context): Rate => {
  const match = /^(\d+)\/([a-z]+)$/.exec(text)
  const unit = RATE_UNITS[match?.[2] as keyof typeof RATE_UNITS]
  if (!match || !unit || Number(match[1]) < 1) {
    context.addIssue('write a rate such as 20/min (s, min, hour or day)')
    return z.NEVER
  }
  return { count: Number(match[1]), windowMs: unit * 1000 }
})

const HEIGHTS = [120, 360, 720, 1080, 1440, 2160]

/** Qualities as the shorter sides of pictures. */
export const heights = z.string().transform((text, context): number[] => {
  const told = text.split(',').map((each) => Number(each.trim().replace(/p$/, '')))
  if (told.some((height) => !HEIGHTS.includes(height))) {
    context.addIssue(`write some of ${HEIGHTS.join(', ')}, comma-separated`)
    return z.NEVER
  }
  return [...new Set(told)].sort((a, b) => a - b)
})

export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)

export const httpUrl = z
  .string()
  .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ''), {
    error: 'write a full URL such as https://films.example.com',
  })

export const origin = httpUrl
  .refine((text) => /^https?:\/\/[^/?#@]+\/?$/i.test(text), {
    error: 'write scheme and host only, such as https://films.example.com',
  })
  .transform((text) => new URL(text).origin)

export const origins = list.transform((items, context) =>
  items.map((item) => {
    if (item === '*') return item
    const parsed = origin.safeParse(item)
    if (parsed.success) return parsed.data
    context.addIssue(`"${item}" is no origin: write scheme and host, such as https://example.com`)
    return z.NEVER
  }),
)

/** What the original reads and we do not: accepted, with a warning. */
export const ignored = (because: string) =>
  z.string().meta({ ignoredBecause: because, description: `No longer means anything: ${because}.` })

export const text = z.string()

/** RFC 6265 §4.1.1: a token. */
export const cookieName = z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/, {
  error: 'write a name of letters, digits and _ or -',
})

export const address = z.string().transform((value, context) => {
  const parsed = email().safeParse(value)
  if (parsed.success) return parsed.data
  context.addIssue('write an email address')
  return z.NEVER
})

const HOST = /^(\*|\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])$/i

export const hosts = list.refine((items) => items.every((item) => HOST.test(item)), {
  error: 'write host names without scheme and port, such as films.example.com,.example.org',
})

/** As proxy-addr reads them. */
const NETWORKS = new Set(['loopback', 'linklocal', 'uniquelocal'])

function isNetwork(item: string): boolean {
  const [ip = '', bits, ...rest] = item.split('/')
  const version = isIP(ip)
  if (NETWORKS.has(item)) return true
  if (version === 0 || rest.length > 0) return false
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
  )
}

export const networks = list.refine((items) => items.every(isNetwork), {
  error: 'write addresses or networks such as 10.0.0.5,10.1.0.0/16',
})

/** Paths that the server has other uses for. */
const TAKEN =
  /^(admin|assets|content|dev|docs|health|healthz|metrics|openapi\.json|reset-password|users)$/

/** The path of a URL, between slashes. */
export const urlPath = z.string().transform((value, context) => {
  const path = value.replace(/^https?:\/\/[^/]+/i, '').replace(/^\/+|\/+$/g, '')
  if (/^\w[\w.-]*(\/\w[\w.-]*)*$/.test(path) && !TAKEN.test(path.split('/')[0] ?? ''))
    return `/${path}/`
  context.addIssue('write a path of its own such as /media/')
  return z.NEVER
})
