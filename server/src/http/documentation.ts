import swagger from '@fastify/swagger'
import reference from '@scalar/fastify-api-reference'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { VERSION } from '../version.ts'
import type { Server } from './server.ts'

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
        },
      },
      tags: ['Accounts', 'Sessions', 'Catalogue', 'Administration', 'Health'].map((name) => ({
        name,
      })),
    },
    transform: ({ schema, url, route, ...rest }) => {
      const described = jsonSchemaTransform({ schema, url, route, ...rest })
      const isOpen = route.config?.access === 'public'
      return {
        url: described.url,
        schema: { ...described.schema, security: isOpen ? [] : [{ cookie: [] }, { bearer: [] }] },
      }
    },
    transformObject: jsonSchemaTransformObject,
  })
}

/** Readable documentation at `/docs/`, from this server alone: no fonts or scripts from elsewhere. */
export async function documentationRoutes(server: Server): Promise<void> {
  server.get(
    '/openapi.json',
    { config: { access: 'public' }, schema: { hide: true } },
    (_request, reply) => reply.send(server.swagger()),
  )
  await server.register(async (docs) => {
    docs.addHook('onSend', async (_request, reply) => {
      reply.header('content-security-policy', DOCS_CSP)
    })
    await docs.register(reference, {
      routePrefix: '/docs',
      configuration: { url: '/openapi.json', withDefaultFonts: false, telemetry: false },
    })
  })
}

/** The viewer sets its page up with one inline script and styles. */
const DOCS_CSP = [
  "default-src 'none'",
  "script-src 'self' 'unsafe-inline'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')
