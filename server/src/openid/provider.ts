import { createHash } from 'node:crypto'
import type { ClientAuth, Configuration } from 'openid-client'
import type { Logger } from 'pino'
import type { OpenIdSettings } from '../config/openid-settings.ts'
import type { Flow } from './sealed-cookies.ts'
import { SignInRefused, type RefusalReason } from './refusals.ts'

/** Who signed in, as the provider says. `subject` is theirs for ever; an address may change hands. */
export interface Claims {
  issuer: string
  subject: string
  /** As the provider writes it. */
  email: string | null
  isEmailVerified: boolean
}

/** An OpenID Connect provider. Both methods throw `SignInRefused`. */
export interface OpenIdProvider {
  /** Where the browser has to go. */
  authorizationUrl(flow: Flow): Promise<URL>
  /** Exchanges what the browser brought back, the query of the callback, for who signed in. Works once. */
  redeem(query: string, flow: Flow): Promise<Claims>
}

/** The browser of somebody waits meanwhile. */
const TIMEOUT_SECONDS = 8

/** Loaded at the first sign-in: most servers need none of it. */
const library = () => import('openid-client')

export function createOpenIdProvider(needs: {
  settings: OpenIdSettings
  redirectUri: string
  log: Logger
}): OpenIdProvider {
  const { settings, redirectUri, log } = needs
  let discovered: Promise<Configuration> | undefined

  /** Asked once; a provider that was away is asked again the next time. */
  async function configuration(): Promise<Configuration> {
    discovered ??= discover(settings)
    try {
      return await discovered
    } catch (cause) {
      discovered = undefined
      throw refused('unavailable', cause)
    }
  }

  function refused(reason: RefusalReason, cause: unknown): SignInRefused {
    // Not the error itself: it may carry the code or a token.
    const { name, message, code, status, error } = cause as Partial<LibraryError>
    log.warn(
      { reason, provider: settings.issuer, name, message, code, status, error },
      'openid sign-in',
    )
    return new SignInRefused(reason, { cause })
  }

  return {
    async authorizationUrl({ state, nonce, verifier }) {
      const [client, config] = await Promise.all([library(), configuration()])
      return client.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: settings.scopes,
        state,
        nonce,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      })
    },

    async redeem(query, { state, nonce, verifier }) {
      const [client, config] = await Promise.all([library(), configuration()])
      try {
        const tokens = await client.authorizationCodeGrant(
          config,
          new URL(`${redirectUri}?${query}`),
          {
            expectedState: state,
            expectedNonce: nonce,
            pkceCodeVerifier: verifier,
            idTokenExpected: true,
          },
        )
        const idToken = tokens.claims()
        if (!idToken) throw new Error('no ID token')
        const isWhole = idToken['email'] !== undefined && idToken['email_verified'] !== undefined
        const canAsk = config.serverMetadata().userinfo_endpoint !== undefined
        const claims =
          !isWhole && canAsk
            ? await client.fetchUserInfo(config, tokens.access_token, idToken.sub)
            : idToken
        return {
          issuer: idToken.iss,
          subject: idToken.sub,
          email: typeof claims['email'] === 'string' ? claims['email'] : null,
          // Amazon Cognito writes it as text.
          isEmailVerified: claims['email_verified'] === true || claims['email_verified'] === 'true',
        }
      } catch (cause) {
        throw refused(reasonOf(cause), cause)
      }
    },
  }
}

async function discover(settings: OpenIdSettings): Promise<Configuration> {
  const client = await library()
  const issuer = new URL(settings.issuer)
  const basic = client.ClientSecretBasic(settings.clientSecret)
  const post = client.ClientSecretPost(settings.clientSecret)
  const authenticate: ClientAuth = (server, ...rest) => {
    // OpenID Connect Discovery 1.0 §3: without the list it is client_secret_basic.
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    return methods.includes('client_secret_basic') ? basic(server, ...rest) : post(server, ...rest)
  }
  return await client.discovery(issuer, settings.clientId, undefined, authenticate, {
    timeout: TIMEOUT_SECONDS,
    execute: [
      // The ID token's signature too, not only the connection it came through.
      client.enableNonRepudiationChecks,
      // The settings take http for loopback alone.
      // oxlint-disable-next-line typescript/no-deprecated
      ...(issuer.protocol === 'http:' ? [client.allowInsecureRequests] : []),
    ],
  })
}

/** OpenID Connect Core §3.1.2.6: the person's doing, or the provider's decision about them. */
const DENIALS = new Set([
  'access_denied',
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
])
const OUTAGES = new Set(['server_error', 'temporarily_unavailable'])
/** RFC 6749 §5.2: the code, not us. */
const DEAD_CODE = 'invalid_grant'

/** What the library's errors mean to the person in front of the browser. */
function reasonOf(failure: unknown): RefusalReason {
  const { name, code, status = 0, error = '' } = failure as LibraryError
  if (name === 'AuthorizationResponseError') {
    if (OUTAGES.has(error)) return 'unavailable'
    return DENIALS.has(error) ? 'denied' : 'misconfigured'
  }
  if (name === 'ResponseBodyError') {
    if (status >= 500) return 'unavailable'
    return error === DEAD_CODE ? 'unproven' : 'misconfigured'
  }
  // 401 with a challenge: how most providers refuse a client's secret.
  if (name === 'WWWAuthenticateChallengeError') return 'misconfigured'
  return isOutage(failure, code) ? 'unavailable' : 'unproven'
}

/** The parts of the errors of openid-client and oauth4webapi that tell them apart. */
interface LibraryError {
  name?: string
  message?: string
  code?: string
  status?: number
  /** As the provider sent it. */
  error?: string
}

function isOutage(failure: unknown, code: string | undefined): boolean {
  if (failure instanceof TypeError && failure.message === 'fetch failed') return true
  return ['OAUTH_TIMEOUT', 'OAUTH_RESPONSE_IS_NOT_CONFORM', 'OAUTH_RESPONSE_IS_NOT_JSON'].includes(
    code ?? '',
  )
}
