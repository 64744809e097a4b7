import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Provider, type Configuration } from 'oidc-provider'
import { MemoryAdapter } from './memory-adapter.ts'
import { freePort } from '../harness/free-port.ts'

/** Somebody who has an account at the provider. */
interface Person {
  subject: string
  email?: string
  email_verified?: boolean | string
}

/** A real OpenID Connect provider on loopback, without forms: whoever comes is `person`, or is turned away. */
export interface TestProvider extends AsyncDisposable {
  issuer: string
  /** Who sits in front of the browser. Null: says no. */
  person: Person | null
  /** What an operator sets. */
  env: Record<string, string>
  /** Takes a browser from the authorization URL back to the callback: the URL it is sent to. */
  visit(authorizationUrl: string): Promise<URL>
  /** Begins to answer, again too. Before that nobody is at its port. */
  start(redirectUri: string): Promise<void>
  stop(): Promise<void>
}

export const CLIENT_ID = 'videoflix'
const CLIENT_SECRET = 'a secret between the two of them, 8f2k'

/** Not started yet: the program must know its name first, and it the program's. */
export async function prepareProvider(
  options: {
    /** Whether the address is in the ID token itself, or only to be asked for. */
    isEmailInToken?: boolean
    clientAuthentication?: 'client_secret_basic' | 'client_secret_post'
  } = {},
): Promise<TestProvider> {
  const port = await freePort()
  // Not the host of the program: to a browser the two are different sites.
  const issuer = `http://localhost:${port}`
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = { ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'one' }
  const people = new Map<string, Person>()
  const method = options.clientAuthentication ?? 'client_secret_basic'
  const configurationFor = (redirectUri: string) =>
    ({
      adapter: MemoryAdapter,
      clients: [
        {
          client_id: CLIENT_ID,
          client_secret: CLIENT_SECRET,
          redirect_uris: [redirectUri],
          token_endpoint_auth_method: method,
        },
      ],
      clientAuthMethods: [method],
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: [] },
      conformIdTokenClaims: !options.isEmailInToken,
      cookies: { keys: ['a key of the test provider'] },
      features: { devInteractions: { enabled: false } },
      findAccount: (_context, subject) => ({
        accountId: subject,
        claims: () => {
          const { email, email_verified } = people.get(subject) ?? {}
          return { sub: subject, ...(email !== undefined && { email, email_verified }) }
        },
      }),
      interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
      jwks: { keys: [key] },
      ttl: {
        AccessToken: 600,
        AuthorizationCode: 60,
        Grant: 600,
        IdToken: 600,
        Interaction: 600,
        Session: 600,
      },
    }) as Configuration
  let provider: Provider
  let callbackUrl = ''

  async function interact(
    request: import('node:http').IncomingMessage,
    response: import('node:http').ServerResponse,
  ): Promise<void> {
    const { person } = self
    const details = await provider.interactionDetails(request, response)
    if (!person) {
      const denied = { error: 'access_denied', error_description: '<script>no</script>' }
      return await provider.interactionFinished(request, response, denied)
    }
    people.set(person.subject, person)
    const grant = new provider.Grant({ accountId: person.subject, clientId: CLIENT_ID })
    grant.addOIDCScope(String(details.params['scope']))
    return await provider.interactionFinished(request, response, {
      login: { accountId: person.subject, remember: false },
      consent: { grantId: await grant.save() },
    })
  }

  let server: import('node:http').Server | undefined
  const self: TestProvider = {
    issuer,
    person: null,
    env: {
      OIDC_ISSUER: issuer,
      OIDC_CLIENT_ID: CLIENT_ID,
      OIDC_CLIENT_SECRET: CLIENT_SECRET,
      OIDC_NAME: 'Acme <Login>',
    },
    async visit(authorizationUrl) {
      const cookies = new Map<string, string>()
      let url = new URL(authorizationUrl)
      for (let redirects = 0; redirects < 10; redirects += 1) {
        const reply = await fetch(url, {
          redirect: 'manual',
          headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
        })
        for (const line of reply.headers.getSetCookie()) {
          const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
          cookies.set(name, value)
        }
        const location = reply.headers.get('location')
        if (location === null) throw new Error(`${reply.status}: ${await reply.text()}`)
        url = new URL(location, url)
        if (url.href.startsWith(callbackUrl)) return url
      }
      throw new Error('the provider never sent the browser back')
    },
    async start(redirectUri) {
      callbackUrl = redirectUri
      provider = new Provider(issuer, configurationFor(redirectUri))
      const answer = provider.callback()
      server = createServer((request, response) => {
        if (!request.url?.startsWith('/interaction/')) return void answer(request, response)
        interact(request, response).catch((error: unknown) => {
          response.statusCode = 500
          response.end(String(error))
        })
      }).listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    async stop() {
      if (!server?.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
    [Symbol.asyncDispose]: () => self.stop(),
  }
  return self
}
