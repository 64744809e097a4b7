import { z } from 'zod'
import { flag, httpUrl, text } from './env-values.ts'

/** Sign-in with one OpenID Connect provider. */
export interface OpenIdSettings {
  issuer: string
  clientId: string
  clientSecret: string
  /** Space-separated, `openid` among them. */
  scopes: string
  /** What people call the provider. */
  name: string
  /** Whether somebody without an account gets one. */
  createsUsers: boolean
  /** Whether an address counts as verified although the provider does not say so. */
  trustsEmail: boolean
  /** Whether the provider stands in for our own one-time codes. */
  trustsTwoFactor: boolean
}

const issuer = httpUrl.refine(
  (value) => value.startsWith('https:') || isLoopback(URL.parse(value)?.hostname ?? ''),
  { error: 'write an https URL; http is only for a provider on this machine' },
)

/** RFC 6749 §3.3 */
const scopes = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+( +[\x21\x23-\x5b\x5d-\x7e]+)*$/, {
  error: 'write names with spaces between, such as openid email profile',
})

export const OPENID_ENV = {
  OIDC_ISSUER: issuer.describe(
    'URL of an OpenID Connect provider that people may sign in with, as it names itself. Default: none.',
  ),
  OIDC_CLIENT_ID: text.describe('The name that the provider knows this server by.'),
  OIDC_CLIENT_SECRET: text.describe('The secret that goes with it.'),
  OIDC_SCOPES: scopes.describe('What is asked for. Default `openid email profile`.'),
  OIDC_NAME: text.describe('What people call the provider. Default: the host of OIDC_ISSUER.'),
  OIDC_CREATE_USERS: flag.describe(
    'Whether somebody without an account gets one at the first sign-in. Default True.',
  ),
  OIDC_TRUST_EMAIL: flag.describe(
    'True: an address counts as verified even if the provider does not say so. Only for a provider where nobody can choose an address freely. Default False.',
  ),
  OIDC_TRUST_TWO_FACTOR: flag.describe(
    'True: accounts with one-time codes may come in through the provider without one. Default False.',
  ),
} as const

type OpenIdEnv = { [Name in keyof typeof OPENID_ENV]?: z.output<(typeof OPENID_ENV)[Name]> }

const NEEDED = ['OIDC_ISSUER', 'OIDC_CLIENT_ID', 'OIDC_CLIENT_SECRET'] as const

/** A sentence about what is missing, or null. */
export function whatIsHalfOpenId(env: OpenIdEnv): string | null {
  const isAnySet = Object.keys(OPENID_ENV).some(
    (name) => env[name as keyof OpenIdEnv] !== undefined,
  )
  const missing = NEEDED.filter((name) => env[name] === undefined)
  if (!isAnySet || missing.length === 0) return null
  return `Sign-in with OpenID Connect is half configured: set ${missing.join(' and ')} too, or remove every OIDC_ setting.`
}

/** Null: off. */
export function openIdSettings(env: OpenIdEnv): OpenIdSettings | null {
  const { OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET } = env
  if (!OIDC_ISSUER || !OIDC_CLIENT_ID || !OIDC_CLIENT_SECRET) return null
  const asked = (env.OIDC_SCOPES ?? 'openid email profile').split(/ +/)
  return {
    issuer: OIDC_ISSUER,
    clientId: OIDC_CLIENT_ID,
    clientSecret: OIDC_CLIENT_SECRET,
    scopes: [...new Set(['openid', ...asked])].join(' '),
    name: env.OIDC_NAME ?? new URL(OIDC_ISSUER).hostname,
    createsUsers: env.OIDC_CREATE_USERS ?? true,
    trustsEmail: env.OIDC_TRUST_EMAIL ?? false,
    trustsTwoFactor: env.OIDC_TRUST_TWO_FACTOR ?? false,
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
}
