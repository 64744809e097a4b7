import { isUtf8 } from 'node:buffer'
import type { Server } from './server.ts'

/**
 * JSON is the only body there is, so that no HTML form can make one. One that is absent or empty is the empty object, as
 * clients of the original expect.
 */
export function acceptJsonOnly(server: Server): void {
  const parse = server.getDefaultJsonParser('error', 'error')
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0 || request.routeOptions.config.ignoresBody) return done(null, {})
    // Decoding would turn every broken byte into the same character, and two passwords into one.
    if (!isUtf8(body as Buffer)) return done(new SyntaxError('the body is not UTF-8'))
    void parse(request, body.toString(), done)
  })
  server.addHook('preValidation', async (request) => {
    if (request.body === undefined && request.method !== 'GET') request.body = {}
  })
}
