import { z } from 'zod'
import { httpUrl, list, seconds } from './env-values.ts'

/** Who is told of what happens to videos. */
export interface WebhookSettings {
  /** None: nobody is told. */
  receivers: WebhookReceiver[]
  /** For one attempt, from the connection to the end of the answer. */
  timeoutMs: number
}

export interface WebhookReceiver {
  /** Names the receiver: unique, and without user and password. */
  url: string
  /** The header that user and password of its URL amount to. */
  authorization: string | null
  /** Each signs, so that one can be exchanged for another. */
  secrets: Buffer[]
}

/** A user name or password that is not well encoded has no meaning. */
function isUrl(text: string): boolean {
  const url = URL.parse(text)
  return httpUrl.safeParse(text).success && url !== null && isDecodable(url.username + url.password)
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

const urls = list.refine((items) => items.every(isUrl), {
  error: 'write full URLs such as https://example.com/films, comma-separated',
})

/** Standard Webhooks 1.0: at least 192 bits, at most 512. */
const [SECRET_MIN, SECRET_MAX] = [24, 64]
/** That many different bytes chance always makes, and a text of zeros does not. */
const DIFFERENT_MIN = 8

const secrets = list.transform((items, context) =>
  items.map((item) => {
    const text = item.replace(/^whsec_/, '')
    const secret = Buffer.from(text, 'base64')
    const isLong = secret.length >= SECRET_MIN && secret.length <= SECRET_MAX
    const isRandom = new Set(secret).size >= DIFFERENT_MIN
    if (secret.toString('base64') === text && isLong && isRandom) return secret
    context.addIssue(
      `write ${SECRET_MIN} to ${SECRET_MAX} random bytes in base64, such as \`echo whsec_$(openssl rand -base64 32)\` makes`,
    )
    return z.NEVER
  }),
)

export const WEBHOOK_ENV = {
  WEBHOOK_URLS: urls.describe(
    'URLs that are told when a video is ready, failed or was deleted, comma-separated; see [webhooks.md](webhooks.md). Default: none.',
  ),
  WEBHOOK_SECRET: secrets.describe(
    'Signs what they are told: at least 24 random bytes in base64, with or without `whsec_` before it. While it is being exchanged: the new one and the old one, comma-separated.',
  ),
  WEBHOOK_TIMEOUT: seconds(0.1, 300).describe(
    'How long one of them may take to answer. Default 10.',
  ),
} as const

type WebhookEnv = { [Name in keyof typeof WEBHOOK_ENV]?: z.output<(typeof WEBHOOK_ENV)[Name]> }

/** A sentence about what is missing or said twice, or null. */
export function whatIsHalfWebhooks(env: WebhookEnv): string | null {
  const isTold = (env.WEBHOOK_URLS ?? []).length > 0
  const isSigned = (env.WEBHOOK_SECRET ?? []).length > 0
  if (isTold && !isSigned) {
    return 'WEBHOOK_URLS is set, but WEBHOOK_SECRET is missing: make one with `echo whsec_$(openssl rand -base64 32)`.'
  }
  if (!isTold && isSigned) {
    return 'WEBHOOK_SECRET is set, but WEBHOOK_URLS is missing: set it, or remove WEBHOOK_SECRET.'
  }
  const shown = (env.WEBHOOK_URLS ?? []).map((url) => withoutLogin(url))
  const twice = shown.find((url, at) => shown.indexOf(url) !== at)
  if (twice === undefined) return null
  return `WEBHOOK_URLS holds ${twice} twice: remove one.`
}

export function webhookSettings(env: WebhookEnv): WebhookSettings {
  const receivers = (env.WEBHOOK_URLS ?? []).map((url) => ({
    url: withoutLogin(url),
    authorization: authorizationOf(new URL(url)),
    secrets: env.WEBHOOK_SECRET ?? [],
  }))
  return { receivers, timeoutMs: env.WEBHOOK_TIMEOUT ?? 10_000 }
}

function withoutLogin(text: string): string {
  const url = new URL(text)
  url.username = ''
  url.password = ''
  url.hash = ''
  return url.href
}

/** RFC 7617, in UTF-8. */
function authorizationOf({ username, password }: URL): string | null {
  if (username === '' && password === '') return null
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Basic ${Buffer.from(login).toString('base64')}`
}
