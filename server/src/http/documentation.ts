import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import swagger from '@fastify/swagger'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { render } from '../templates/templates.ts'
import { VERSION } from '../version.ts'
import type { Access } from './authentication.ts'
import type { Server } from './server.ts'

/** Swagger UI as that package carries it; its plugin would keep a page of its own, with inline scripts. */
const VIEWER_DIR = join(
  dirname(fileURLToPath(import.meta.resolve('@fastify/swagger-ui'))),
  'static',
)

/** OpenAPI 3.1 of every route at `/openapi.json`. Register it before the routes. */
export async function describeRoutes(server: Server, cookieName: string): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Videoflix',
        version: VERSION,
        description:
          'Self-hosted video on demand. Sign in with `POST /users/login/`, which sets two cookies; programs may send the access token as a Bearer token instead.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          cookie: { type: 'apiKey', in: 'cookie', name: cookieName },
          bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          metrics: { type: 'http', scheme: 'bearer' },
        },
      },
      tags: ['Accounts', 'Sessions', 'Catalogue', 'Administration', 'Health'].map((name) => ({
        name,
      })),
    },
    transform: ({ schema, url, route, ...rest }) => {
      const described = jsonSchemaTransform({ schema, url, route, ...rest })
      const { documentedBody } = route.config ?? {}
      return {
        url: described.url,
        schema: {
          ...described.schema,
          ...(documentedBody && { body: documentedBody }),
          security: securityOf(route.config?.access),
        },
      }
    },
    transformObject: jsonSchemaTransformObject,
  })
}

/** `{}` stands for nothing: a program on the server's machine needs no token. */
function securityOf(access: Access | undefined): Record<string, string[]>[] {
  if (access === 'public') return []
  return access === 'monitor' ? [{}, { metrics: [] }] : [{ cookie: [] }, { bearer: [] }]
}

/** Readable documentation at `/docs/`, from this server alone; its files are read when they are asked for. */
export async function documentationRoutes(server: Server): Promise<void> {
  const page = { config: { access: 'public' }, schema: { hide: true } } as const
  server.get('/openapi.json', page, (_request, reply) => reply.send(server.swagger()))
  server.get('/docs/', page, (_request, reply) =>
    reply
      .header('content-security-policy', DOCS_CSP)
      .type('text/html; charset=utf-8')
      .send(render('pages/docs', {})),
  )
  await server.register(fastifyStatic, {
    root: VIEWER_DIR,
    prefix: '/docs/assets/',
    index: false,
    decorateReply: false,
    schemaHide: true,
    allowedPath: (path) => /^\/swagger-ui(-bundle\.js|\.css)$/.test(path),
  })
}

/** The viewer sets inline styles, and its pictures are in them. */
const DOCS_CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')
