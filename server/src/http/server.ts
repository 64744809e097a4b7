import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import cookie from '@fastify/cookie'
import rateLimit, { type FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
} from 'fastify'
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Settings } from '../config/settings.ts'
import type { Viewer } from '../sessions/viewer.ts'
import { isSigned, type Access, type Authentication } from './authentication.ts'
import { mendForwardedFor } from './client.ts'
import { shareWithOrigin } from './cors.ts'
import { answerBrokenRequest, sendError, rateLimited, type ErrorShape } from './errors.ts'
import { acceptJsonOnly } from './json-body.ts'
import type { OriginRules } from './origin.ts'
import { IDLE_MS, limitBodyTime, MAX_CONNECTIONS, TIMEOUTS } from './patience.ts'
import { RouteTable } from './route-table.ts'
import { securityHeaders } from './security-headers.ts'
import { serializerCompiler } from './serializer.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /** Also where the request names a host that is not ours: probes and scrapers ask for addresses. */
    acceptsAnyHost?: boolean
    /** Whoever has a signed URL is let through to the route, which checks it; there is no viewer then. */
    acceptsSignature?: boolean
    errorShape?: ErrorShape
    /** JSON Schema of a body that is read by hand, such as a form with a file. */
    documentedBody?: object
    /** The body may be absent or anything: it is not read. */
    ignoresBody?: boolean
  }
  interface FastifyRequest {
    viewer: Viewer | null
  }
  interface FastifyInstance {
    routeTable: RouteTable
  }
}

/** The server with its edge in place and no routes yet. */
export type Server = FastifyInstance<
  import('node:http').Server,
  import('node:http').IncomingMessage,
  import('node:http').ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

const PUBLIC_PREFIXES = ['/docs/assets/', '/assets/']
const JSON_LIMIT_BYTES = 64 * 1024
/** What libraries would write down at the level `trace`. */
const SECRET_HEADERS = ['cookie', 'authorization', '["set-cookie"]'].flatMap((name) =>
  ['headers', '*.headers'].map((where) =>
    name.startsWith('[') ? where + name : `${where}.${name}`,
  ),
)

export async function createServer(needs: {
  settings: Pick<Settings, 'trustedProxies' | 'corsCredentials' | 'media'>
  log: FastifyBaseLogger
  authentication: Authentication
  origins: OriginRules
  /** Whether clients reach us by HTTPS. */
  isHttps: boolean
  /** Where requests are counted; in this process without. */
  rateLimits?: FastifyRateLimitStoreCtor | undefined
  /** Adds hooks that see every request before all others. */
  watch: (server: Server) => void
}): Promise<Server> {
  const { settings, authentication, origins } = needs
  const isProxied = settings.trustedProxies.length > 0
  const server = Fastify({
    loggerInstance: needs.log.child({}, { redact: SECRET_HEADERS }),
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    // A logger for each request costs a tenth of the whole; errors name the request themselves.
    childLoggerFactory: (logger) => logger,
    bodyLimit: JSON_LIMIT_BYTES,
    trustProxy: isProxied ? settings.trustedProxies : false,
    forceCloseConnections: 'idle',
    connectionTimeout: IDLE_MS,
    http: TIMEOUTS,
    routerOptions: { maxParamLength: 512 },
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    // What came before the last connection was closed is answered like everything else.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      limitBodyTime(request, reply)
      void sendError(error, request, reply.header('vary', 'Origin'))
    },
    clientErrorHandler: answerBrokenRequest,
  }).withTypeProvider<ZodTypeProvider>()

  server.server.maxConnections = MAX_CONNECTIONS
  server.setValidatorCompiler(validatorCompiler)
  server.setSerializerCompiler(serializerCompiler)
  server.setErrorHandler(sendError)
  server.decorateRequest('viewer', null)
  server.decorate('routeTable', new RouteTable())
  server.addHook('onRoute', (route) => {
    // Routes that a library makes for us cannot say it themselves.
    if (PUBLIC_PREFIXES.some((prefix) => route.url.startsWith(prefix))) {
      route.config = { ...route.config, access: 'public' }
    }
    server.routeTable.add(route)
  })
  acceptJsonOnly(server, JSON_LIMIT_BYTES)

  const headers = securityHeaders(needs.isHttps)
  const sharing = {
    mayRead: (origin: string) => origins.mayRead(origin),
    credentials: settings.corsCredentials,
    mediaPath: settings.media.urlPath,
  }
  needs.watch(server)
  // Every request passes here: no promise is made where none is needed.
  server.addHook('onRequest', (request, reply, done) => {
    reply.headers(headers)
    limitBodyTime(request, reply)
    if (isProxied) mendForwardedFor(request)
    const isOurs = origins.isOurHost(hostOf(request.raw))
    if (!isOurs && !request.routeOptions.config.acceptsAnyHost) {
      const detail = 'Invalid host header: add the name to ALLOWED_HOSTS.'
      reply.code(400).send({ detail })
    } else if (shareWithOrigin(request, reply, sharing)) reply.code(200).send()
    else done()
  })
  await server.register(cookie)
  await server.register(rateLimit, {
    global: false,
    ...(needs.rateLimits && { store: needs.rateLimits }),
    errorResponseBuilder: (_request, { ttl }) => rateLimited(Math.max(1, Math.ceil(ttl / 1000))),
    addHeadersOnExceeding: {},
    addHeaders: {
      'x-ratelimit-limit': false,
      'x-ratelimit-remaining': false,
      'x-ratelimit-reset': false,
      'retry-after': true,
    },
  })

  server.addHook('onRequest', (request, reply, done) => {
    const { access, acceptsSignature } = request.routeOptions.config
    if (!origins.mayChange(request)) {
      reply.code(403).send({ detail: 'Requests from this origin are not allowed.' })
    } else if (access === undefined || authentication.recognise(request, access)) done()
    else if (acceptsSignature && isSigned(request)) done()
    else {
      // Whoever is not admitted has been answered: the request ends here.
      authentication.admit(request, reply, access).then((isAdmitted) => {
        if (isAdmitted) done()
      }, done)
    }
  })
  server.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const here = server.routeTable.at(path)
    const isWrongMethod = here.every(({ method }) => method !== request.method)
    if (here.length > 0 && isWrongMethod) {
      const access = here.find((entry) => entry.access !== 'public')?.access ?? 'public'
      if (!(await authentication.admit(request, reply, access))) return reply
      const methods = METHODS.filter((method) => here.some((entry) => entry.method === method))
      reply.header('allow', [...methods, 'OPTIONS'].join(', '))
      if (request.method === 'OPTIONS') return reply.code(200).send()
      return reply.code(405).send({ detail: `Method "${request.method}" not allowed.` })
    }
    if (here.length === 0 && !path.endsWith('/') && server.routeTable.at(`${path}/`).length > 0) {
      return reply.code(301).header('location', withSlash(request)).send()
    }
    return reply.code(404).send({ detail: 'Not found.' })
  })
  return server
}

/** RFC 9112 §3.2: a request with two is nobody's, as a proxy may have read the other one. */
function hostOf({ rawHeaders, headers }: IncomingMessage): string | undefined {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.length === 4 && rawHeaders[at]?.toLowerCase() === 'host') count += 1
  }
  return count === 1 ? headers.host : undefined
}

/** As an `Allow` header lists them. */
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']

/** A path is relative to this server: `//host/path` must not lead elsewhere. */
function withSlash(request: FastifyRequest): string {
  const [path = '', ...query] = request.url.split('?')
  const target = `/${path.replace(/^\/+/, '')}/`
  return query.length > 0 ? `${target}?${query.join('?')}` : target
}
