import { readFileSync } from 'node:fs'
import cookie from '@fastify/cookie'
import Fastify from 'fastify'

/**
 * The limit to compare with: a Fastify server that does nothing but look the cookie up and send the same bytes.
 * Arguments: port, token, file of the gzipped body, file of the plain body.
 */
const [port = '', token = '', gzippedFile = '', plainFile = ''] = process.argv.slice(2)
const gzipped = readFileSync(gzippedFile)
const plain = readFileSync(plainFile)
const known = new Set([token])

const server = Fastify()
await server.register(cookie)
server.get('/content/', (request, reply) => {
  if (!known.has(request.cookies['vf_access'] ?? '')) return reply.code(401).send()
  reply.header('content-type', 'application/json; charset=utf-8')
  if (!request.headers['accept-encoding']?.includes('gzip')) return reply.send(plain)
  return reply.header('content-encoding', 'gzip').send(gzipped)
})
await server.listen({ port: Number(port), host: '127.0.0.1' })
