import { codeProof, detailError, fieldErrors, otpRefusal } from '@videoflix/contract'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Audit } from '../audit/audit.ts'
import type { Rate } from '../config/env-values.ts'
import type { Settings } from '../config/settings.ts'
import { AppError } from '../errors.ts'
import { clientOf } from '../http/client.ts'
import { readCookie, setSessionCookies } from '../http/cookies.ts'
import { sendPage } from '../http/page.ts'
import type { Server } from '../http/server.ts'
import { render } from '../templates/templates.ts'
import { explain, SignInRefused, type RefusalReason } from './refusals.ts'
import { ARRIVAL_TTL_MS, FLOW_TTL_MS } from './sealed-cookies.ts'
import type { OpenIdSignIn } from './sign-in.ts'

export const OPENID_CALLBACK_PATH = '/users/openid/callback/'
const LOGIN_PATH = '/users/openid/login/'
const CODE_PATH = '/users/openid/code/'

const FLOW_COOKIE = 'vf_openid'
const ARRIVAL_COOKIE = 'vf_openid_code'

/** Sign-in with an OpenID Connect provider: out by one redirect, back by another, perhaps a one-time code. */
export function openIdRoutes(
  server: Server,
  needs: {
    signIn: OpenIdSignIn
    audit: Audit
    cookies: Settings['cookies']
    loginRate: Rate
    frontendUrl: string
    providerName: string
  },
): void {
  const { signIn, audit, cookies, loginRate, frontendUrl, providerName } = needs
  const config = {
    access: 'public',
    rateLimit: { max: loginRate.count, timeWindow: loginRate.windowMs },
  } as const
  const tags = ['Sessions']
  /** Lax: the way back begins on the provider's site. */
  const cookieAt = (path: string) =>
    ({ path, httpOnly: true, secure: cookies.secure, sameSite: 'lax' }) as const

  server.get(
    LOGIN_PATH,
    {
      exposeHeadRoute: false,
      config,
      schema: {
        tags,
        summary: 'Sign in with the OpenID Connect provider',
        description:
          'For a browser to open. With `remember=true` the session lives as long as with `remember` at sign-in.',
        querystring: z.object({ remember: z.unknown().optional().meta({ type: 'boolean' }) }),
        response: { 302: z.null(), 503: z.string() },
      },
    },
    async (request, reply) => {
      const begun = await attempt(request, reply, () =>
        signIn.begin(request.query.remember === 'true'),
      )
      if (!begun) return reply
      const maxAge = FLOW_TTL_MS / 1000
      reply.setCookie(FLOW_COOKIE, begun.sealedFlow, { ...cookieAt(OPENID_CALLBACK_PATH), maxAge })
      return reply.header('cache-control', 'no-store').redirect(begun.url, 302)
    },
  )

  server.get(
    OPENID_CALLBACK_PATH,
    {
      exposeHeadRoute: false,
      config,
      schema: {
        tags,
        summary: 'Where the provider sends the browser back to',
        description: `Sets the access and the refresh cookie and leads to \`FRONTEND_URL\`; for an account that asks for a one-time code, leads to \`${CODE_PATH}\`.`,
        response: { 302: z.null(), 400: z.string(), 403: z.string(), 503: z.string() },
      },
    },
    async (request, reply) => {
      const sealedFlow = readCookie(request, FLOW_COOKIE)
      const query = request.url.split('?').slice(1).join('?')
      const arrived = await attempt(request, reply, () =>
        signIn.finish({ sealedFlow, query }, clientOf(request)),
      )
      if (!arrived) return reply
      reply.header('cache-control', 'no-store')
      reply.clearCookie(FLOW_COOKIE, cookieAt(OPENID_CALLBACK_PATH))
      if ('tokens' in arrived) {
        setSessionCookies(reply, cookies, arrived.tokens)
        return reply.redirect(frontendUrl, 302)
      }
      const maxAge = ARRIVAL_TTL_MS / 1000
      reply.setCookie(ARRIVAL_COOKIE, arrived.sealedArrival, { ...cookieAt(CODE_PATH), maxAge })
      return reply.redirect(CODE_PATH, 302)
    },
  )

  server.get(
    CODE_PATH,
    { config: { access: 'public' }, schema: { hide: true } },
    (_request, reply) => sendPage(reply, render('pages/openid-code', { again: LOGIN_PATH })),
  )

  server.post(
    CODE_PATH,
    {
      config,
      schema: {
        tags,
        summary: 'Pay the one-time code of a sign-in with the provider',
        body: codeProof,
        response: {
          200: z.object({ redirect_to: z.string() }),
          400: fieldErrors,
          401: z.union([otpRefusal, detailError]),
          429: detailError,
        },
      },
    },
    async (request, reply) => {
      const sealedArrival = readCookie(request, ARRIVAL_COOKIE)
      const answer = { sealedArrival, otp: request.body.code }
      const arrived = await signIn.finishWithCode(answer, clientOf(request))
      if ('refusal' in arrived) return await reply.code(401).send(arrived.refusal)
      reply.clearCookie(ARRIVAL_COOKIE, cookieAt(CODE_PATH))
      setSessionCookies(reply, cookies, arrived.tokens)
      return { redirect_to: frontendUrl }
    },
  )

  // A look at these changes nothing: no sign-in is begun or ended by HEAD.
  for (const path of [LOGIN_PATH, OPENID_CALLBACK_PATH]) {
    server.head(path, { config: { access: 'public' }, schema: { hide: true } }, (_request, reply) =>
      reply.code(200).send(),
    )
  }

  /** Null when it was refused, and the page that says why is sent. */
  async function attempt<T>(
    request: FastifyRequest,
    reply: FastifyReply,
    work: () => Promise<T>,
  ): Promise<T | null> {
    try {
      return await work()
    } catch (error) {
      const reason = reasonOf(error)
      const details = { via: 'openid', reason }
      await audit.record('login_failed', { address: request.ip, details })
      if (!STILL_OPEN.has(reason)) reply.clearCookie(FLOW_COOKIE, cookieAt(OPENID_CALLBACK_PATH))
      const { status, sentence } = explain(reason, providerName)
      if (status === 503) reply.header('retry-after', '60')
      const page = render('pages/openid-failed', { sentence, frontendUrl, again: LOGIN_PATH })
      await sendPage(reply.code(status), page)
      return null
    }
  }
}

/** Anybody can send a browser to the callback with a wrong answer: that must not end the sign-in it has begun. */
const STILL_OPEN = new Set<RefusalReason>(['mismatch', 'expired'])

/** Throws what is no refusal. */
function reasonOf(error: unknown): RefusalReason {
  if (error instanceof SignInRefused) return error.reason
  if (error instanceof AppError && error.code === 'unavailable') return 'busy'
  throw error
}
